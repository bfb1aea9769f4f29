"""Published alphabets of languages, and look-alikes of their letters in texts.

A profile is data: the letters of a published orthography that are easily confused, with its source.
What it repairs follows from LOOK_ALIKES: a look-alike that is itself a letter of the orthography is
never touched, and a language without a profile is never repaired.

Sources:
- CLDR: main exemplar characters of the Unicode Common Locale Data Repository 48.2 (`wo`, `ff`, ...)
- decrees of Senegal, as cited in the Hyperglot database 0.8 for these languages
- UTS #39: confusables.txt of Unicode Technical Standard 39
- charts: names list and cross references of the Unicode code charts
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

LATIN_SHAPES: Mapping[str, str] = {
    "а": "a",
    "е": "e",
    "о": "o",
    "р": "p",
    "с": "c",
    "у": "y",
    "х": "x",
    "і": "i",
    "ј": "j",
    "ѕ": "s",
    "һ": "h",
    "ԁ": "d",
    "ԛ": "q",
    "ԝ": "w",
    "А": "A",
    "В": "B",
    "Е": "E",
    "Ѕ": "S",
    "І": "I",
    "Ј": "J",
    "К": "K",
    "М": "M",
    "Н": "H",
    "О": "O",
    "Р": "P",
    "С": "C",
    "Т": "T",
    "Х": "X",
    "ο": "o",
    "Α": "A",
    "Β": "B",
    "Ε": "E",
    "Ζ": "Z",
    "Η": "H",
    "Ι": "I",
    "Κ": "K",
    "Μ": "M",
    "Ν": "N",
    "Ο": "O",
    "Ρ": "P",
    "Τ": "T",
    "Υ": "Y",
    "Χ": "X",
}
"""Cyrillic and Greek letters that are drawn like a Latin one (UTS #39)."""

LOOK_ALIKES: Mapping[str, str] = {
    "ɛ": "εԑє",  # UTS #39: one class; Greek epsilon, Cyrillic reversed ze, Ukrainian ie
    "Ɛ": "ԐЄ",  # their capitals; Greek capital epsilon is drawn like E
    "ɔ": "ͻↄ",  # UTS #39: one class; Greek reversed sigma, Latin reversed c
    "Ɔ": "ϽↃ",
    "ɣ": "γ",  # UTS #39: one class; chart of U+0263 refers to U+03B3
    "ŋ": "ηƞ",  # UTS #39: eta and n with long leg are one class; chart of U+019E
    "ʋ": "υ",  # UTS #39: one class; Greek upsilon
    "ɩ": "ι",  # UTS #39: one class; Greek iota
    "Ɖ": "ĐÐ\u018a",  # chart of U+0189 refers to U+00D0 and U+0110; U+018A is the hooked D of Fula
    "ɖ": "\u0257",  # d with hook, for d with tail
    "Ɗ": "\u0189",  # the African D, for the D with hook
    "ɗ": "\u0256",  # d with tail, for d with hook
    "Ƭ": "\u01ae",  # T with retroflex hook, for T with hook
    "ƭ": "\u0288\u01ab",  # t with retroflex or palatal hook, for t with hook
    "ǝ": "\u0259\u04d9",  # UTS #39: one class; chart of U+01DD: African, pairs with U+018E
    "Ǝ": "\u018f\u04d8",
    "ə": "\u01dd\u04d9",
    "Ə": "\u04d8",
    "ș": "ş",  # charts of U+0219 and U+015F: comma below for Romanian, cedilla for Turkish
    "Ș": "Ş",
    "ț": "ţ",
    "Ț": "Ţ",
}
"""Letter of an orthography -> what is typed for it by mistake. Hooked and tailed letters of one
base (d, t) are no confusables by UTS #39, yet where an orthography has one of them the other is
none of its letters."""

ARABIC_LOOK_ALIKES: Mapping[str, str] = {
    "ی": "يى",  # Farsi yeh; charts of U+06CC and U+0649
    "ک": "ك",  # keheh; chart of U+06A9
    "ہ": "ه",  # heh goal; chart of U+06C1
}
"""Letter of a language of South Asia or Iran -> the Arabic letter that is typed for it."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Repairs of a language: look-alikes inside words of the language's own letters."""

    letters: str
    """Letters of its orthography that are easily confused."""
    source: str
    """Publication of that orthography."""
    repairs: Mapping[str, str] = field(default_factory=dict)
    """Look-alike -> letter."""


def _latin(letters: str, source: str) -> Profile:
    both = letters + letters.upper()
    repairs = dict(LATIN_SHAPES)
    for letter in both:
        repairs |= {wrong: letter for wrong in LOOK_ALIKES.get(letter, "") if wrong not in both}
    return Profile(both, source, repairs)


def _arabic(letters: str, source: str) -> Profile:
    repairs = {wrong: letter for letter in letters for wrong in ARABIC_LOOK_ALIKES.get(letter, "")}
    return Profile(letters, source, repairs)


_FULA = _latin("ɓɗŋƴñ", "CLDR ff")
_PLAIN = "CLDR: no letter beyond a-z that has a look-alike"

PROFILES: Mapping[str, Profile] = {
    # Senegal and its neighbours
    "wol_Latn": _latin("ŋñ", "CLDR wo"),
    **dict.fromkeys(
        ("fuc_Latn", "fuf_Latn", "fuv_Latn", "fub_Latn", "fuh_Latn", "ffm_Latn", "fuq_Latn"), _FULA
    ),
    "srr_Latn": _latin("ɓɗƈƥƭƴŋñ", "Hyperglot srr"),
    "mnk_Latn": _latin("ŋñ", "Senegal, decree 2005-982"),
    "dyo_Latn": _latin("ŋñ", "Senegal, decree 2005-981; CLDR dyo"),
    "bam_Latn": _latin("ɛɔɲŋ", "CLDR bm"),
    "fra_Latn": _latin("", "CLDR fr"),
    # the coast, Nigeria, Cameroon
    "ewe_Latn": _latin("ɖɛƒɣŋɔʋ", "CLDR ee"),
    "fon_Latn": _latin("ɖɛɔ", "CENALA, Alphabet des langues nationales béninoises, 2008"),
    "aka_Latn": _latin("ɛɔ", "CLDR ak"),
    "twi_Latn": _latin("ɛɔ", "CLDR ak"),
    "fat_Latn": _latin("ɛɔ", "CLDR ak"),
    "gaa_Latn": _latin("ɛŋɔ", "CLDR gaa"),
    "mos_Latn": _latin("ɛɩʋ", "Hyperglot mos"),
    "hau_Latn": _latin("ɓɗƙƴ", "CLDR ha"),
    "yor_Latn": _latin("ẹọṣ", "CLDR yo"),
    "ibo_Latn": _latin("ịṅọụ", "CLDR ig"),
    "bas_Latn": _latin("ɓɛŋɔ", "CLDR bas"),
    "dua_Latn": _latin("ɓɗɛŋɔ", "CLDR dua"),
    "ewo_Latn": _latin("əɛŋɔ", "CLDR ewo"),
    "nmg_Latn": _latin("ɓǝɛŋɔ", "CLDR nmg"),
    "lin_Latn": _latin("ɛɔ", "CLDR ln"),
    # the north, the east and the south
    "kab_Latn": _latin("ɛɣ", "CLDR kab"),
    "lug_Latn": _latin("ŋ", "CLDR lg"),
    **dict.fromkeys(
        ("swh_Latn", "nya_Latn", "zul_Latn", "xho_Latn", "sna_Latn", "kin_Latn", "run_Latn"),
        _latin("", _PLAIN),
    ),
    **dict.fromkeys(
        ("som_Latn", "gaz_Latn", "eng_Latn", "por_Latn", "spa_Latn"),
        _latin("", _PLAIN),
    ),
    # the Arabic script east of Arabic. Not Sindhi and Pashto: their published alphabets have both
    # yehs, or both kafs, as letters of their own, or do not agree.
    "urd_Arab": _arabic("یکہ", "CLDR ur"),
    "pnb_Arab": _arabic("یک", "CLDR pa-Arab"),
    "kas_Arab": _arabic("یک", "CLDR ks"),
    "pes_Arab": _arabic("یک", "CLDR fa"),
    "ckb_Arab": _arabic("یک", "CLDR ckb"),
    # Romance in the east
    "ron_Latn": _latin("ăâîșț", "CLDR ro"),
}
"""Language -> profile. A language that is not here keeps every letter as it is."""

LATIN_MARKS = frozenset("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030c")
"""Grave, acute, circumflex, tilde, macron, breve, dot, diaeresis, caron."""

OWN_ARABIC = frozenset("ٹڈڑںےھگپچژیکہؠۆٲۄەێڕڵڤ")
"""Letters of these languages that Arabic itself does not have (CLDR ar, ur, ks, fa, ckb)."""


@lru_cache(maxsize=256)
def repairs_of(language: str) -> Mapping[str, str]:
    """Return look-alike -> letter for a language; composed look-alikes too; empty if none.

    >>> repairs_of("wol_Latn")["η"], repairs_of("kab_Latn")["έ"]
    ('ŋ', 'ɛ́')
    >>> repairs_of("xyz_Latn")
    {}
    """
    profile = PROFILES.get(language)
    if profile is None:
        return {}
    repairs = dict(profile.repairs)
    for code in (*range(0x370, 0x530), *range(0x1F00, 0x2000)):  # Greek and Cyrillic
        parts = unicodedata.normalize("NFD", chr(code))
        if len(parts) > 1 and parts[0] in repairs and set(parts[1:]) <= LATIN_MARKS:
            repairs[chr(code)] = unicodedata.normalize("NFC", repairs[parts[0]] + parts[1:])
    return repairs
