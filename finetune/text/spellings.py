"""Equivalent spellings: one form of a text for comparisons; what is trained on stays as it is.

NFC leaves spellings apart that are drawn alike and read alike: a vowel letter typed as a letter and
a vowel sign, a chillu typed with a joiner, a hamza put on a letter by hand, marks in another order.
`one_spelling` makes one of them of all. It depends on the text alone, so that equal texts have one
digest, one split and one fingerprint everywhere.

Only what is equal in every language is in this table. What is a mistake in one language and a
letter in another (Farsi and Arabic yeh, the hooked letters of Africa) is in finetune.text.letters.

Sources:
- DNE: DoNotEmit.txt of the Unicode Character Database 17 (it includes the "do not use" tables of
  the core specification, chapters 12 to 15)
- core: The Unicode Standard, core specification 16, section of that script
- UTN 11: Hosken, Representing Myanmar in Unicode
- UTS 39: confusables.txt of Unicode Technical Standard 39
- Nisaba: Johny et al. 2021, The Nisaba Brahmic library (visual normal form)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain

from finetune.text.escapes import unescaped
from finetune.text.presentation import FORMS

_EQUAL = """
# DNE, core table 12-1: Devanagari vowel letters
0905 0946=0904, 0905 093E=0906, 0930 094D 0907=0908, 0909 0941=090A, 090F 0945=090D,
090F 0946=090E, 090F 0947=0910, 0905 0949=0911, 0906 0945=0911, 0905 094A=0912, 0906 0946=0912,
0905 094B=0913, 0906 0947=0913, 0905 094C=0914, 0906 0948=0914, 0905 0945=0972, 0905 093A=0973,
0905 093B=0974, 0906 093A=0974, 0905 094F=0975, 0905 0956=0976, 0905 0957=0977,
# Nisaba: Devanagari vowel signs in two parts
093E 0945=0949, 093E 0946=094A, 093E 0947=094B, 093E 0948=094C,
# core 12.1, rules R5 and R5a: eyelash ra; DNE: accents of transliteration
0930 094D 200D=0931 094D, 0953=0300, 0954=0301,
# DNE, core table 12-11: Bengali; khanda ta before Unicode 4.1
0985 09BE=0986, 098B 09C3=09E0, 098C 09E2=09E1, 09A4 09CD 200D=09CE,
# DNE, core table 12-16: Gurmukhi
0A05 0A3E=0A06, 0A72 0A3F=0A07, 0A72 0A40=0A08, 0A73 0A41=0A09, 0A73 0A42=0A0A, 0A72 0A47=0A0F,
0A05 0A48=0A10, 0A73 0A4B=0A13, 0A05 0A4C=0A14,
# DNE, core table 12-20: Gujarati
0A85 0ABE=0A86, 0A85 0AC5=0A8D, 0A85 0AC7=0A8F, 0A85 0AC8=0A90, 0A85 0AC9=0A91, 0A85 0ACB=0A93,
0A85 0ABE 0AC5=0A93, 0A85 0ACC=0A94, 0A85 0ABE 0AC8=0A94, 0AC5 0ABE=0AC9, 0AF1=0AB0 0AC2 0AF0,
# DNE, core tables 12-22 (Oriya) and 12-26 (Tamil); Tamil shri before Unicode 4.1
0B05 0B3E=0B06, 0B0F 0B57=0B10, 0B13 0B57=0B14, 0B85 0BC2=0B86,
0BB8 0BCD 0BB0 0BC0=0BB6 0BCD 0BB0 0BC0,
# DNE, core tables 12-30 (Telugu) and 12-31 (Kannada)
0C12 0C55=0C13, 0C12 0C4C=0C14, 0C3F 0C55=0C40, 0C46 0C55=0C47, 0C4A 0C55=0C4B,
0C89 0CBE=0C8A, 0C92 0CCC=0C94, 0C8B 0CBE=0CE0,
# DNE, core tables 12-32 and 12-40: Malayalam; chillus before Unicode 5.1; core 12.9: nta
0D07 0D57=0D08, 0D09 0D57=0D0A, 0D0E 0D46=0D10, 0D12 0D3E=0D13, 0D12 0D57=0D14,
0D23 0D4D 200D=0D7A, 0D28 0D4D 200D=0D7B, 0D30 0D4D 200D=0D7C, 0D32 0D4D 200D=0D7D,
0D33 0D4D 200D=0D7E, 0D15 0D4D 200D=0D7F, 0D28 0D4D 0D31=0D7B 0D4D 0D31,
# DNE, core table 13-2: Sinhala
0D85 0DCF=0D86, 0D85 0DD0=0D87, 0D85 0DD1=0D88, 0D8B 0DDF=0D8C, 0D8D 0DD8=0D8E, 0D8F 0DDF=0D90,
0D91 0DCA=0D92, 0D91 0DD9=0D93, 0D94 0DDF=0D96,
# core 16.1 and 16.2: sara e twice for sara ae, sara am in two signs (Thai, Lao); Lao ligatures
0E40 0E40=0E41, 0E4D 0E32=0E33, 0EC0 0EC0=0EC1, 0ECD 0EB2=0EB3, 0EDC=0EAB 0E99, 0EDD=0EAB 0EA1,
# DNE: Tibetan
0F77=0FB2 0F71 0F80, 0F79=0FB3 0F71 0F80,
# UTN 11: Myanmar letter u typed for nya
1025 103A=1009 103A, 1025 102C=1009 102C, 1025 1039=1009 1039,
# DNE: Khmer; core 16.4: coeng da and coeng ta are drawn alike, vowels in two parts
17A3=17A2, 17A4=17A2 17B6, 17D8=17D4 179B 17D4, 17D2 178A=17D2 178F, 17C1 17B8=17BE, 17C1 17B6=17C4,
# DNE, core 9.2: hamza; Farsi yeh, or heh, with a hamza put on by hand
0649 0654=0626, 06CC 0654=0626, 0647 0654=06C0, 0673=0627 065F, 0675=0674 0627, 0676=0674 0648,
0677=0674 06C7, 0678=0674 0649,
# core 9.2: tatweel, and N'Ko lajanyalan, only stretch a word
0640=, 07FA=,
# core 9.2: extended Arabic-Indic digits, the same numbers
06F0=0660, 06F1=0661, 06F2=0662, 06F3=0663, 06F4=0664, 06F5=0665, 06F6=0666, 06F7=0667, 06F8=0668,
06F9=0669,
# core 9.1: Yiddish digraphs
05F0=05D5 05D5, 05F1=05D5 05D9, 05F2=05D9 05D9,
# DNE: Latin; overlays and hooks without a canonical decomposition
0140=006C 00B7, 013F=004C 00B7, 0149=02BC 006E, 0131 0307=0069 0307, 0237 0307=006A 0307,
006C 0334=026B, 004C 0334=2C62, 0064 0322=0256, 0074 0322=0288, 0054 0322=01AE, 006E 0322=0273,
006C 0322=026D, 0072 0322=027D, 0052 0322=2C64, 007A 0322=0290, 0074 0321=01AB,
# UTS 39: a vertical line below for a dot below (Yoruba)
0065 0329=1EB9, 0045 0329=1EB8, 006F 0329=1ECD, 004F 0329=1ECC, 0073 0329=1E63, 0053 0329=1E62
"""
"""Sequence = the same in one spelling, as code points."""

_NUKTAS = {
    "\u093c": "\u093a\u093b\u093e-\u094c",
    "\u09bc": "\u09be-\u09cc\u09d7",
    "\u0a3c": "\u0a3e-\u0a4c",
    "\u0abc": "\u0abe-\u0acc",
    "\u0b3c": "\u0b3e-\u0b4c\u0b56\u0b57",
    "\u0cbc": "\u0cbe-\u0ccc\u0cd5\u0cd6",
}
"""Nukta -> the vowel signs that it may have been typed behind."""
_TONES = re.compile("[\u0e48-\u0e4b\u0ec8-\u0ecb]")
_LAST = re.compile("[\u0e4d\u0ecd]")
_MYANMAR = (
    "".join(map(chr, (*range(0x103B, 0x103F), 0x1031, 0x102D, 0x102E, *range(0x1032, 0x1036))))
    + "\u102f\u1030\u102b\u102c\u1036\u1037\u103a\u1038"
)
_RUNS: tuple[tuple[re.Pattern[str], Callable[[str], int]], ...] = (
    *(
        (re.compile(f"[{signs}]+[{signs}{nukta}]+"), lambda mark: int(mark not in _NUKTAS))
        for nukta, signs in _NUKTAS.items()
    ),
    # core 16.1 and 16.2: a tone mark typed before the vowel under it, or behind nikhahit
    (
        re.compile(
            "[\u0e31\u0e34-\u0e3a\u0e47-\u0e4b\u0e4d\u0eb1\u0eb4-\u0ebb\u0ec8-\u0ecb\u0ecd]{2,}"
        ),
        lambda mark: 2 * bool(_LAST.match(mark)) + bool(_TONES.match(mark)),
    ),
    (re.compile("[\u102b-\u1038\u103a-\u103e]{2,}"), _MYANMAR.index),  # UTN 11
)
"""Marks of one letter that are drawn alike in every order, and the place of each in one order."""
_KHMER_RUN = re.compile("(?:\u17d2[\u1780-\u17b3]|[\u17b6-\u17d1\u17dd]){2,}")
_KHMER_SIGN = re.compile("\u17d2?.")
_KHMER = (
    *(frozenset("\u17c9\u17ca\u17cc"), frozenset(map(chr, range(0x17B6, 0x17C6)))),
    *(frozenset("\u17c6"), frozenset("\u17c7\u17c8")),
)
"""Behind the subscripts: shifters, vowels, and what stands above and behind (core 16.4)."""
_APOSTROPHES = re.compile("[\u2018\u2019\u02bb\u02bc\u02b9\u0060\u00b4\uff07\ua78c]")
"""Typed for each other, as a quotation mark and as a letter."""
_INSIDE = re.compile(f"(?:'|{_APOSTROPHES.pattern})(?<=[^\\s!-/:-@\\[-`{{-~].)(?=[^\\W\\d_])")


def _sequences() -> Iterator[tuple[str, str]]:
    """Yield each sequence and the same in one spelling, decomposed."""
    rows = "".join(line for line in _EQUAL.split("\n") if not line.startswith("#"))
    for row in rows.split(","):
        sequence, same = (
            "".join(chr(int(code, 16)) for code in side.split()) for side in row.split("=")
        )
        yield unicodedata.normalize("NFD", sequence), unicodedata.normalize("NFD", same)
    for form, letters in FORMS.items():
        yield form, unicodedata.normalize("NFD", letters)


EQUAL: Mapping[str, str] = dict(_sequences())
"""Sequence -> the same in one spelling; both in NFD."""
_BY_END: dict[str, list[str]] = {}
for _sequence in EQUAL:
    _BY_END.setdefault(_sequence[-1], []).append(_sequence)
_ENDS = frozenset(_BY_END)
_ORDERED = re.compile(
    "[\u093c\u09bc\u0a3c\u0abc\u0b3c\u0cbc\u0e48-\u0e4d\u0ec8-\u0ecd\u102b-\u103e\u17b6-\u17dd]"
)


_ENDS_COMPOSED = frozenset(
    letter
    for code in range(0xC0, 0x2000)
    if not _ENDS.isdisjoint(unicodedata.normalize("NFD", letter := chr(code)))
)
_MAY_DIFFER = re.compile(f"[{''.join(sorted(_ENDS | _ENDS_COMPOSED))}]|{_ORDERED.pattern}")


def letters_alike(text: str) -> str:
    r"""Return a text in NFC in which letters and marks of equal spellings are the same.

    For comparisons only. Idempotent, and the same for NFC and NFD.

    >>> letters_alike("\u0905\u093e\u092a") == letters_alike("\u0906\u092a")
    True
    >>> letters_alike("\u0253a \u0257a d\u0323a")
    'ɓa ɗa ḍa'
    """
    if text.isascii():
        return text
    if _MAY_DIFFER.search(text):
        text, before = unicodedata.normalize("NFD", text), ""
        while text != before:  # a few times: no row of the table leads back
            before = text
            text = _in_order(_equal(text))
            if text != before:
                text = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", text)


def one_spelling(text: str) -> str:
    """Return a text as it is compared as a whole: without escapes, one kind of apostrophe.

    >>> one_spelling("ma\u2019a") == one_spelling("ma\u02bca") == one_spelling("ma&#39;a") == "ma'a"
    True
    """
    if "&" in text:
        text = unescaped(text)
    return text if text.isascii() else _APOSTROPHES.sub("'", letters_alike(text))


def inside_words(text: str) -> str:
    """Return a text with every apostrophe inside a word as one letter; at its edges it may quote.

    >>> inside_words("'l\u2019eau' d'en")
    "'lʼeau' dʼen"
    """
    if text.isascii() and "'" not in text:
        return text
    return _INSIDE.sub("\u02bc", text)


def _equal(text: str) -> str:
    ends = _ENDS.intersection(text)
    longest_first = sorted(chain.from_iterable(_BY_END[end] for end in ends), key=len, reverse=True)
    for sequence in longest_first:
        text = text.replace(sequence, EQUAL[sequence])
    return text


def _in_order(text: str) -> str:
    if not _ORDERED.search(text):
        return text
    for run, place in _RUNS:
        text = run.sub(partial(_sorted, place=place), text)
    return _KHMER_RUN.sub(
        lambda run: "".join(sorted(_KHMER_SIGN.findall(run[0]), key=_khmer)), text
    )


def _sorted(run: re.Match[str], *, place: Callable[[str], int]) -> str:
    return "".join(sorted(run[0], key=place))


def _khmer(sign: str) -> int:
    """Return the place of a Khmer sign behind its letter; the subscript ro is the last one."""
    if sign[0] == "\u17d2":
        return int(sign == "\u17d2\u179a")
    return next((2 + n for n, signs in enumerate(_KHMER) if sign in signs), 5)
