"""Scripts: which one a letter belongs to, and in which direction it is written.

Python knows the Unicode name of a letter and not its script; the names begin with the script's, so
a table from names to ISO 15924 is enough for the scripts of living languages.
"""

from __future__ import annotations

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

RIGHT_TO_LEFT = frozenset({"Adlm", "Arab", "Aran", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa"})
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
    if not unicodedata.category(letter).startswith("L"):
        return None
    words = unicodedata.name(letter, "").split()
    return NAMES.get(" ".join(words[:2])) or NAMES.get(words[0] if words else "")


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
