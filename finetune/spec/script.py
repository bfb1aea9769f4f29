"""Scripts (ISO 15924) of letters, and their direction.

The data are Unicode's, as fontTools packs them: younger than those of the oldest Python we run on,
so that Garay, Sunuwar or Ol Onal have their letters.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from fontTools import unicodedata as unicode

RIGHT_TO_LEFT = frozenset(unicode.RTL_SCRIPTS) | {"Aran"}
"""Scripts that are written from right to left; Unicode counts Nastaliq (`Aran`) as Arabic."""

PARTS: Mapping[str, frozenset[str]] = {
    "Aran": frozenset({"Arab"}),
    "Cyrs": frozenset({"Cyrl"}),
    "Geok": frozenset({"Geor"}),
    "Hanb": frozenset({"Hani", "Bopo"}),
    "Hans": frozenset({"Hani"}),
    "Hant": frozenset({"Hani"}),
    "Hrkt": frozenset({"Hira", "Kana"}),
    "Jamo": frozenset({"Hang"}),
    "Jpan": frozenset({"Hani", "Hira", "Kana"}),
    "Kore": frozenset({"Hang", "Hani"}),
    "Latf": frozenset({"Latn"}),
    "Latg": frozenset({"Latn"}),
    "Syre": frozenset({"Syrc"}),
    "Syrj": frozenset({"Syrc"}),
    "Syrn": frozenset({"Syrc"}),
}
"""Codes of writing systems whose letters have other codes."""

_SHARED = frozenset({"Zyyy", "Zinh", "Zzzz"})
"""Unicode's codes for characters of several scripts (common, inherited) or of none."""


def direction(language: str) -> str:
    """Return `rtl` or `ltr` for a language code of ours.

    >>> direction("urd_Arab"), direction("wol_Latn"), direction("wol_Gara")
    ('rtl', 'ltr', 'rtl')
    """
    return "rtl" if language.rpartition("_")[2] in RIGHT_TO_LEFT else "ltr"


@lru_cache(maxsize=65536)
def script_of(letter: str) -> str | None:
    """Return the ISO 15924 code of a letter, or None for other characters and shared letters.

    >>> script_of("ɗ"), script_of("ᱚ"), script_of("7"), script_of("ʼ")
    ('Latn', 'Olck', None, None)
    """
    if not _is_of_kind(letter, "L"):
        return None
    found = unicode.script(letter)
    return None if found in _SHARED else found


@lru_cache(maxsize=65536)
def scripts_of_character(character: str) -> frozenset[str]:
    """Return the scripts that a letter or mark stands in; none for one that Latin shares.

    Tones, apostrophes and the like are borrowed into more orthographies than Unicode lists
    (UAX 24, Script_Extensions), so what Latin and others share belongs to no script.

    >>> scripts_of_character("ि"), scripts_of_character("\\u0301"), scripts_of_character("७")
    (frozenset({'Deva'}), frozenset(), frozenset())
    >>> sorted(scripts_of_character("\\u064e"))
    ['Arab', 'Syrc']
    """
    if not _is_of_kind(character, "LM"):
        return frozenset()
    found = unicode.script(character)
    if found not in _SHARED:
        return frozenset({found})
    shared = frozenset(unicode.script_extension(character)) - _SHARED
    return frozenset() if "Latn" in shared else shared


def _is_of_kind(character: str, kinds: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in kinds or category == "Cn"  # may be younger than this Python's data


def script_name(letter: str) -> str | None:
    """Return the English name of a letter's script, or None for what belongs to no script.

    >>> script_name("ᱚ"), script_name("你"), script_name("𐌰"), script_name("ʼ")
    ('Ol Chiki', 'Han', 'Gothic', None)
    """
    script = script_of(letter)
    return None if script is None else unicode.script_name(script)


def scripts_in(text: str) -> Counter[str]:
    """Count the letters of a text by script.

    >>> dict(scripts_in("ab क 12"))
    {'Latn': 2, 'Deva': 1}
    """
    found: Counter[str] = Counter()
    for letter, count in Counter(text).items():
        if script := script_of(letter):
            found[script] += count
    return found


def fits(script: str, found: str) -> bool:
    """Return whether letters of the script `found` belong to a text declared as `script`.

    >>> fits("Jpan", "Kana"), fits("Latn", "Cyrl")
    (True, False)
    """
    return found == script or found in PARTS.get(script, ())
