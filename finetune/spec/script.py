"""Scripts: which one a letter belongs to, and in which direction it is written.

Python knows the Unicode name of a letter and not its script; the names begin with the script's, so
a table from names to ISO 15924 is enough for the scripts of living languages.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

NAMES: Mapping[str, str] = {
    "LATIN": "Latn",
    "ARABIC": "Arab",
    "DEVANAGARI": "Deva",
    "BENGALI": "Beng",
    "GURMUKHI": "Guru",
    "GUJARATI": "Gujr",
    "ORIYA": "Orya",
    "TAMIL": "Taml",
    "TELUGU": "Telu",
    "KANNADA": "Knda",
    "MALAYALAM": "Mlym",
    "SINHALA": "Sinh",
    "OL CHIKI": "Olck",
    "MEETEI MAYEK": "Mtei",
    "WARANG CITI": "Wara",
    "GUNJALA GONDI": "Gong",
    "MASARAM GONDI": "Gonm",
    "SHARADA": "Shrd",
    "KHUDAWADI": "Sind",
    "CHAKMA": "Cakm",
    "LEPCHA": "Lepc",
    "LIMBU": "Limb",
    "NEWA": "Newa",
    "ADLAM": "Adlm",
    "NKO": "Nkoo",
    "ETHIOPIC": "Ethi",
    "TIFINAGH": "Tfng",
    "VAI": "Vaii",
    "BAMUM": "Bamu",
    "CYRILLIC": "Cyrl",
    "GREEK": "Grek",
    "COPTIC": "Copt",
    "ARMENIAN": "Armn",
    "GEORGIAN": "Geor",
    "HEBREW": "Hebr",
    "SYRIAC": "Syrc",
    "THAANA": "Thaa",
    "HANIFI ROHINGYA": "Rohg",
    "THAI": "Thai",
    "LAO": "Laoo",
    "KHMER": "Khmr",
    "MYANMAR": "Mymr",
    "TIBETAN": "Tibt",
    "MONGOLIAN": "Mong",
    "JAVANESE": "Java",
    "BALINESE": "Bali",
    "CHEROKEE": "Cher",
    "CANADIAN SYLLABICS": "Cans",
    "HANGUL": "Hang",
    "CJK": "Hani",
    "HIRAGANA": "Hira",
    "KATAKANA": "Kana",
}
"""First words of a letter's Unicode name -> ISO 15924."""
_ENGLISH = {script: name.title() for name, script in NAMES.items()}

NEWER: tuple[tuple[int, int, str], ...] = (
    (0x10D40, 0x10D8F, "Gara"),
    (0x11380, 0x113FF, "Tutg"),
    (0x11BC0, 0x11BFF, "Sunu"),
    (0x16100, 0x1613F, "Gukh"),
    (0x16D40, 0x16D7F, "Krai"),
    (0x1E4D0, 0x1E4FF, "Nagm"),
    (0x1E5D0, 0x1E5FF, "Onao"),
)
"""Blocks of living scripts that are younger than the Unicode data of the oldest Python we run on:
Garay (Wolof), Tulu-Tigalari, Sunuwar, Gurung Khema, Kirat Rai, Nag Mundari, Ol Onal. Unicode 15
and 16, code charts."""

RIGHT_TO_LEFT = frozenset({"Adlm", "Arab", "Aran", "Gara", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa"})
"""Scripts that are written from right to left."""

PARTS: Mapping[str, frozenset[str]] = {
    "Aran": frozenset({"Arab"}),
    "Hans": frozenset({"Hani"}),
    "Hant": frozenset({"Hani"}),
    "Jpan": frozenset({"Hani", "Hira", "Kana"}),
    "Kore": frozenset({"Hang", "Hani"}),
}
"""Codes of writing systems whose letters have other codes."""


def direction(language: str) -> str:
    """Return `rtl` or `ltr` for a language code of ours.

    >>> direction("urd_Arab"), direction("wol_Latn")
    ('rtl', 'ltr')
    """
    return "rtl" if language.rpartition("_")[2] in RIGHT_TO_LEFT else "ltr"


@lru_cache(maxsize=65536)
def script_of(letter: str) -> str | None:
    """Return the ISO 15924 code of a letter, or None for other characters and unknown scripts.

    >>> script_of("ɗ"), script_of("ᱚ"), script_of("7")
    ('Latn', 'Olck', None)
    """
    category = unicodedata.category(letter)
    if category == "Cn":
        code = ord(letter)
        return next((script for low, high, script in NEWER if low <= code <= high), None)
    if category[0] != "L":
        return None
    words = unicodedata.name(letter, "").split()
    return NAMES.get(" ".join(words[:2])) or NAMES.get(words[0] if words else "")


def script_name(letter: str) -> str | None:
    """Return the English name of a letter's script, or None for what belongs to no script.

    >>> script_name("ᱚ"), script_name("你"), script_name("𐌰"), script_name("ʼ")
    ('Ol Chiki', 'Han', 'Gothic', None)
    """
    script = script_of(letter)
    if script == "Hani":
        return "Han"
    if script in _ENGLISH:
        return _ENGLISH[script]
    name = unicodedata.name(letter, "")
    if not name or name.startswith("MODIFIER"):  # okina and the like belong to every script
        return script
    return re.split(r" (?:SMALL|CAPITAL|LETTER|SYLLABLE|VOWEL|CHARACTER)\b", name)[0].title()


def scripts_in(text: str) -> Counter[str]:
    """Count the letters of a text by script.

    >>> dict(scripts_in("ab क 12"))
    {'Latn': 2, 'Deva': 1}
    """
    found = Counter(script_of(letter) for letter in text)
    return Counter({script: n for script, n in found.items() if script})


def fits(script: str, found: str) -> bool:
    """Say whether letters of the script `found` belong to a text said to be in `script`.

    >>> fits("Jpan", "Kana"), fits("Latn", "Cyrl")
    (True, False)
    """
    return found == script or found in PARTS.get(script, ())
