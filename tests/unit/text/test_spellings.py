"""Equivalent spellings are one text in comparisons, and words that differ stay two."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.text.spellings import EQUAL, letters_alike, one_spelling
from tests.support.linear_time import within_cpu_seconds

_BLOCKS = (
    *((0x20, 0x250), (0x2B0, 0x370), (0x530, 0x600), (0x600, 0x700), (0x750, 0x780)),
    *((0x7C0, 0x800), (0x8A0, 0x900), (0x900, 0xE00), (0xE00, 0x10A0), (0x1780, 0x1800)),
    *((0x1E00, 0x1F00), (0x200B, 0x2020), (0xFB00, 0xFE00), (0xFE70, 0xFF00)),
)
LETTERS = st.sampled_from([chr(code) for low, high in _BLOCKS for code in range(low, high)])
SEQUENCES = st.sampled_from(sorted(EQUAL))
TEXTS = st.lists(LETTERS | SEQUENCES, max_size=8).map("".join)


@given(TEXTS)
def test_one_spelling_is_idempotent_and_blind_to_composition(text: str) -> None:
    """Over all of these blocks: once is enough, and NFC and NFD of a text have one spelling."""
    for form in (letters_alike, one_spelling):
        once = form(text)
        assert form(once) == once
        assert unicodedata.is_normalized("NFC", once)
        assert form(unicodedata.normalize("NFD", text)) == once
        assert form(unicodedata.normalize("NFC", text)) == once


def test_each_row_of_the_table_makes_two_spellings_equal() -> None:
    """Every sequence is equal to its other spelling, alone and behind a letter."""
    for sequence, same in EQUAL.items():
        for before in ("", "\u0915", "\u0628", "a "):
            assert letters_alike(before + sequence) == letters_alike(before + same)


@pytest.mark.parametrize(
    "marks", ["\u0e48\u0e35", "\u093e\u093c", "\u17d2\u1780\u17b6", "\u1031\u102f"]
)
def test_a_flood_of_marks_is_put_in_order_in_linear_time(marks: str) -> None:
    """A hundred thousand marks, alternating or in two runs, take seconds."""
    with within_cpu_seconds():
        letters_alike(marks * 40_000)
        letters_alike(marks[0] * 60_000 + marks[-1] * 60_000)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u0905\u093e\u092a", "\u0906\u092a"),  # Devanagari aa as a + sign
        ("\u0905\u093e\u0947", "\u0913"),  # in three parts
        ("\u0915\u093e\u093c", "\u0915\u093c\u093e"),  # nukta behind the sign
        ("\u0930\u094d\u200d\u092f", "\u0931\u094d\u092f"),  # eyelash ra
        ("\u09a1\u09bc", "\u09dc"),  # Bengali rra
        ("\u09b9\u09a0\u09be\u09a4\u09cd\u200d", "\u09b9\u09a0\u09be\u09ce"),  # khanda ta
        ("\u0d05\u0d35\u0d28\u0d4d\u200d", "\u0d05\u0d35\u0d7b"),  # chillu n
        ("\u0d0e\u0d28\u0d4d\u0d31\u0d46", "\u0d0e\u0d7b\u0d4d\u0d31\u0d46"),  # nta
        ("\u0bb8\u0bcd\u0bb0\u0bc0", "\u0bb6\u0bcd\u0bb0\u0bc0"),  # Tamil shri
        ("\u0d85\u0dcf", "\u0d86"),  # Sinhala aa
        ("\u0c12\u0c55", "\u0c13"),  # Telugu oo
        ("\u0a73\u0a41", "\u0a09"),  # Gurmukhi u
        ("\u0e40\u0e40\u0e21\u0e48", "\u0e41\u0e21\u0e48"),  # Thai sara e twice
        ("\u0e19\u0e4d\u0e49\u0e32", "\u0e19\u0e49\u0e33"),  # sara am in two signs
        ("\u0e17\u0e48\u0e35", "\u0e17\u0e35\u0e48"),  # tone before vowel
        ("\u1000\u102f\u102d", "\u1000\u102d\u102f"),  # Myanmar vowels in another order
        ("\u1780\u17c1\u17b8", "\u1780\u17be"),  # Khmer vowel in two parts
        ("\u1798\u17b6\u17d2\u1793", "\u1798\u17d2\u1793\u17b6"),  # subscript behind the vowel
        ("\u0626", "\u06cc\u0654"),  # Farsi yeh and hamza
        ("\u06c0", "\u0647\u0654"),
        ("\u06f1\u06f9", "\u0661\u0669"),  # Arabic-Indic digits of both kinds
        ("\u0643\u062a\u0640\u0640\u0627\u0628", "\u0643\u062a\u0627\u0628"),  # tatweel
        ("\ufe91\ufe8e\ufb90", "\u0628\u0627\u06a9"),  # presentation forms
        ("e\u0301\u0329", "\u1eb9\u0301"),  # Yoruba, line below for dot below
        ("ma\u2019a", "ma\u02bca"),
        ("l&#39;eau &amp;amp; caf&eacute;", "l\u2019eau & caf\u00e9"),  # HTML
        ("teacher &apos;s", "teacher 's"),  # Moses
        ("o\u2018zbek", "o\u02bbzbek"),
        ("d\u0322a", "\u0256a"),
    ],
)
def test_two_spellings_of_a_word_are_one(one: str, other: str) -> None:
    """Each pair is typed in two ways, drawn alike and read alike."""
    assert unicodedata.normalize("NFC", one) != unicodedata.normalize("NFC", other) or one != other
    assert one_spelling(one) == one_spelling(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u0257aka", "daka"),  # Hausa
        ("\u0199ara", "kara"),
        ("\u02bcya", "ya"),
        ("o\u0323ko\u0323\u0301", "o\u0323ko\u0323\u0300"),  # Yoruba husband, vehicle
        ("ok\u1ecd", "oko"),
        ("\u0d05\u0d35\u0d7b", "\u0d05\u0d35\u0d28\u0d4d"),  # Malayalam he, to him
        ("\u0d05\u0d35\u0d7e", "\u0d05\u0d35\u0d7c"),  # she, they
        ("\u0915\u0939\u093e", "\u0915\u0939\u093e\u0901"),  # Hindi said, where
        ("\u0916\u093e\u0928\u093e", "\u0916\u093c\u093e\u0928\u093e"),  # food, compartment
        ("\u0a2e\u0a24", "\u0a2e\u0a71\u0a24"),  # Punjabi don't, opinion
        ("\u09b6\u09be\u09b2", "\u09b8\u09be\u09b2"),  # Bengali shawl, year
        ("\u0baa\u0bb2\u0bcd", "\u0baa\u0bb3\u0bcd"),  # Tamil
        ("\u06a9\u06c1\u0627", "\u06a9\u06be\u0627"),  # Urdu said, eat
        ("\u067e\u06c1\u0644", "\u067e\u06be\u0644"),  # Urdu beginning, fruit
        ("\u0645\u0644\u064a", "\u0645\u0644\u06cc"),  # Pashto: both yehs are letters
        ("\u0643\u062a\u0628", "\u06a9\u062a\u0628"),
        ("\u0639\u0644\u064a", "\u0639\u0644\u0649"),  # Arabic Ali, on
        ("\u0e21\u0e32", "\u0e21\u0e49\u0e32"),  # Thai come, horse
        ("\u0e43\u0e01\u0e25\u0e49", "\u0e44\u0e01\u0e25"),  # near, far
        ("\u1000\u103c", "\u1000\u103b"),  # Myanmar
        ("\u1780\u17b6", "\u1780\u17b7"),
        ("\u014bam", "nam"),
        ("c\u00f4te", "cote"),
        ("\u0254m", "om"),
    ],
)
def test_words_that_differ_stay_two(one: str, other: str) -> None:
    """Minimal pairs: tone marks, hooks, chillus, aspirates and yehs make words."""
    assert one_spelling(one) != one_spelling(other)
    assert letters_alike(one) != letters_alike(other)
