"""Words, letters and scripts, in every script alike."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.text.counts import count_words, has_words, is_letter, is_unspaced, scripts_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(TEXTS, TEXTS)
def test_words_of_two_texts_add_up(one, other):
    """A space between two texts neither makes a word nor takes one."""
    assert count_words(f"{one} {other}") == count_words(one) + count_words(other)


@given(TEXTS)
def test_composing_changes_no_word(text):
    """A word is a word in NFC and in NFD."""
    nfc, nfd = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert count_words(nfc) == count_words(nfd)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        (" \u00a0\t", 0),
        ("… — ।", 0),
        ("2024 ɓ", 2),
        ("ሀ፡ለ ሐ", 3),
        ("ক\u09cd\u200dয", 1),  # a joiner holds a word together
        ("ʼn ʻa", 2),
    ],
)
def test_hand_counted_words(text, words):
    """Spaces and wordspaces part words; lone punctuation is none."""
    assert count_words(text) == words


@pytest.mark.parametrize("letter", ["ก", "ລ", "ཀ", "က", "ក", "你", "あ", "カ", "ꀀ", "ꦲ", "𠀀"])
def test_scripts_without_spaces_are_known(letter):
    """Thai, Lao, Tibetan, Burmese, Khmer, Han, Kana, Yi, Javanese."""
    assert is_unspaced(letter)
    assert not has_words({letter: 9, "a": 1})


@pytest.mark.parametrize("letter", ["a", "ɓ", "अ", "ᱚ", "ꯀ", "ߊ", "𞤀", "ሀ", "ع", "한", "ა", "ᏸ"])
def test_scripts_with_spaces_are_counted_in_words(letter):
    """Latin, Devanagari, Ol Chiki, Meetei Mayek, N'Ko, Adlam, Ethiopic, Arabic, Hangul, ..."""
    assert is_letter(letter)
    assert not is_unspaced(letter)
    assert has_words({letter: 100, "你": 5})


def test_scripts_have_their_names():
    """Shares are of letters; digits, marks and modifier letters take none."""
    letters = {"ᱚ": 5, "ꯀ": 2, "ߊ": 1, "你": 1, "ʼ": 7, "\u0301": 4, "Ɓ": 1}
    assert scripts_of(letters) == {
        "Ol Chiki": 0.5,
        "Meetei Mayek": 0.2,
        "Han": 0.1,
        "Latin": 0.1,
        "Nko": 0.1,
    }
