"""Scripts of letters: what the library says agrees with the letters' own names."""

from __future__ import annotations

import sys
import unicodedata

from fontTools import unicodedata as unicode

from finetune.spec.script import script_of, scripts_of_character

LIVING = """
    Adlm Arab Armn Bali Bamu Beng Cakm Cher Copt Cyrl Deva Ethi Geor Gong Gonm Grek Gujr Guru Hang
    Hebr Hira Java Kana Khmr Knda Laoo Latn Lepc Limb Mlym Mong Mtei Mymr Newa Nkoo Olck Orya Rohg
    Shrd Sind Sinh Syrc Taml Telu Tfng Thaa Thai Tibt Vaii Wara
"""
SHARED = {"\u0374", "\u0640", "\ua9cf"}
"""The Greek numeral sign, the Arabic tatweel and the Javanese pangrangkep serve several scripts."""


def test_a_letter_has_the_script_that_its_name_begins_with() -> None:
    """All letters that this Python has a name for, of fifty living scripts."""
    names = {unicode.script_name(script).upper(): script for script in LIVING.split()}
    seen, wrong = set(), []
    for letter in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(letter)[0] != "L" or letter in SHARED:
            continue
        words = unicodedata.name(letter, "").split()
        script = names.get(" ".join(words[:2])) or names.get(words[0] if words else "")
        if script is not None:
            seen.add(script)
            if script_of(letter) != script or scripts_of_character(letter) != {script}:
                wrong.append(f"U+{ord(letter):04X} {' '.join(words)}: {script_of(letter)}")
    assert not wrong
    assert len(seen) == len(names) == 50


def test_shared_letters_belong_to_no_script_or_to_several() -> None:
    """A tatweel is counted for no script, and may stand in a token of Arabic or of Syriac."""
    assert {script_of(letter) for letter in SHARED} == {None}
    assert {"Arab", "Syrc"} <= scripts_of_character("\u0640")
