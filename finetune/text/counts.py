"""Counts of letters, words and scripts, comparable across scripts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from finetune.spec.script import script_name

_WORD_SEPARATORS = re.compile(r"[\s\u1361\u1680]+")
"""White space, and the wordspaces of Ethiopic and Ogham."""
_ASCII_WORD = re.compile(r"[^\W_]", re.ASCII)
_UNSPACED = (
    *((0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF)),
    *((0x1A20, 0x1AAF), (0x1B00, 0x1B7F), (0x3040, 0x312F), (0x31A0, 0x31FF), (0x3400, 0x4DBF)),
    *((0x4E00, 0xA4CF), (0xA980, 0xA9DF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0xAA80, 0xAADF)),
    *((0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
)
"""Thai, Lao, Tibetan, Burmese, Khmer, the Tai scripts, Balinese, Javanese, Kana, Bopomofo, Han and
Yi: blocks whose lines break elsewhere than at spaces (Unicode Standard Annex 14)."""
_LETTERS = re.compile(r"[^\W\d_]")
LONG_CHARACTERS = 80
"""From this length on the share of letters is meaningful."""
UNSPACED_SHARE = 0.1
"""From this share of letters on, words between spaces say nothing about a text."""


def is_letter(character: str) -> bool:
    """Return whether a character is a letter, or a mark that belongs to one.

    >>> is_letter("ɓ"), is_letter("ा"), is_letter("7")
    (True, True, False)
    """
    return unicodedata.category(character)[0] in "LM"


def has_few_letters(text: str, *, min_share: float) -> bool:
    """Return whether a text has no letter, or a long one has few; 0.0 for `min_share` means never.

    >>> has_few_letters("12:30", min_share=0.4), has_few_letters("10 km", min_share=0.4)
    (True, False)
    """
    if min_share <= 0 or not text:
        return False
    if len(text) < LONG_CHARACTERS:
        return not (_LETTERS.search(text) or any(map(_may_be_letter, text)))
    visible = "".join(text.split())
    if len(_LETTERS.findall(visible)) >= min_share * len(visible):
        return False  # without counting marks: nearly always so
    return sum(map(_may_be_letter, visible)) < min_share * len(visible)


def _may_be_letter(character: str) -> bool:
    # what Python's data does not know yet may be a letter of a new script
    return is_letter(character) or unicodedata.category(character) in ("Cn", "Co")


def count_words(text: str) -> int:
    """Count what stands between spaces and holds a letter or a digit.

    A lone danda or dash is no word.

    >>> count_words("ina kwana - lafiya"), count_words("ሰላም፡ለዓለም"), count_words("राम है ।")
    (3, 2, 2)
    """
    return sum(_is_word(part) for part in _WORD_SEPARATORS.split(text))


def is_unspaced(character: str) -> bool:
    """Return whether a letter is of a script that puts no spaces between words.

    >>> is_unspaced("ก"), is_unspaced("한"), is_unspaced("अ")
    (True, False, False)
    """
    code = ord(character)
    return code >= 0x0E00 and any(low <= code <= high for low, high in _UNSPACED)


def has_words(letters: Mapping[str, int]) -> bool:
    """Return whether a text with these letters (letter -> times) can be counted in words."""
    unspaced = sum(times for letter, times in letters.items() if is_unspaced(letter))
    return unspaced < UNSPACED_SHARE * sum(letters.values())


def scripts_of(letters: Mapping[str, int]) -> dict[str, float]:
    """Return script -> share of the letters, largest first; marks follow their letters.

    >>> scripts_of({"a": 3, "ß": 1, "अ": 4, "ा": 9})
    {'Devanagari': 0.5, 'Latin': 0.5}
    """
    sums: dict[str, int] = {}
    for letter, times in letters.items():
        if unicodedata.category(letter)[0] == "L":
            script = script_name(letter)
            if script:
                sums[script] = sums.get(script, 0) + times
    total = sum(sums.values())
    largest_first = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return {script: times / total for script, times in largest_first}


def _is_word(part: str) -> bool:
    # most words of most texts hold an ASCII letter or digit, which is quick to see
    return bool(_ASCII_WORD.search(part)) or any(c.isalnum() or is_letter(c) for c in part)
