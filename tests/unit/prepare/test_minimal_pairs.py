"""Near texts with another word that matters, and copies with noise."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.prepare.overlap.minimal_pairs import (
    distance,
    front_of,
    is_minimal_pair,
    signs_differ,
)
from finetune.prepare.overlap.shingles import comparable
from finetune.prepare.overlap.words import WordCounts

KNOWN = frozenset(("http", "https", "class", "classes", "black", "blank", "not", "né", "ne", "pas"))


def differ(one: str, other: str) -> bool:
    first, second = comparable([one, other])
    front = front_of(one, other)
    return is_minimal_pair(first, second, known=KNOWN.__contains__, front=front)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Click on the left arrow", "Click on the right arrow"),
        ("Change the text to lowercase", "Change the text to uppercase"),
        ("The address begins with http", "The address begins with https"),
        ("Delete the class", "Delete the classes"),
        ("Enter the label of the axis", "Enter the number of the axis"),
        ("Coupe du monde 1998", "Coupe du monde 2002"),
        ("Où est né Cheikh Anta Diop ?", "Où est mort Cheikh Anta Diop ?"),
        ("Reports are visible to learners", "Reports are not visible to learners"),
        ("Menu has changed", "Context menu has changed"),
        ("Autoriser le chargement", "Ne pas autoriser le chargement"),
        ("Discard changes in all files", "Discard changes in all unstaged files"),
        ("Page 2 of the book", "Page of the book"),
        ("Psalm 23", "Psalm 2"),
        ("पाठ पूरा किया", "पाठ शुरू किया"),
        ("کتاب بائیں طرف ہے", "کتاب دائیں ہاتھ ہے"),
        ("إلى اليمين ١٢", "إلى اليمين ١٣"),
        ("ไปทางซ้ายมือ", "ไปทางขวามือ"),
        ("点击左边的按钮", "点击右边的按钮"),
        ("လက်ဝဲဘက်သို့သွားပါ", "လက်ယာဘက်သို့သွားပါ"),
        ("ทุกคนมี 3 ข้อ", "ทุกคนมี 5 ข้อ"),
    ],
)
def test_other_words_and_numbers_make_two_texts(one: str, other: str) -> None:
    """Words of any script in place of others, numbers, a word inside; both ways round."""
    assert differ(one, other)
    assert differ(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Click on the left arrow", "CLICK ON THE «LEFT» ARROW!"),
        ("Click on the left arrow", "Clik on the left arrow"),
        ("Click on the left arrow", "Click on the letf arrow"),
        ("Click on the left arrow", "Click onthe left arrow"),
        ("Click on the left arrow", "Click on the the left arrow"),
        ("Click on the left arrow", "Note: Click on the left arrow"),
        ("Click on the left arrow", "Click on the left arrow (Kolibri)"),
        ("Click on the left arrow", "Click on the left arr"),
        ("Click on the left arrow", "Click on the left"),
        ("1 000 naira", "1000 naira"),
        ("१२ किताबें", "12 किताबें"),
        ("ọjọ́ ìbí", "ọjọ ìbí"),
        ("अाप कहाँ हैं", "आप कहाँ हैं"),
        ("ไปทางซ้ายมือ", "ไปทางซายมือ"),
        ("ไปทางซ้ายมือ", "ไปทางซ้ายมือครับ"),
        ("点击左边的按钮", "点击左边的按钮。"),
    ],
)
def test_noise_makes_no_second_text(one: str, other: str) -> None:
    """Case, punctuation, spacing, slips, spellings, what is put before or behind, or cut off."""
    assert not differ(one, other)
    assert not differ(other, one)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_text_is_no_pair_with_itself_and_order_does_not_matter(one: str, other: str) -> None:
    """Any texts: the same text never differs, and nothing fails."""
    first, second = comparable([one, other])
    assert not is_minimal_pair(first, first, known=lambda _: True)
    is_minimal_pair(first, second, known=lambda _: False)
    assert distance(first, second) == distance(second, first) <= max(len(first), len(second))


def test_signs_of_mathematics_and_money_are_content() -> None:
    """`a < b` and `a > b` are alike but for a sign, and so are two languages for programs."""
    assert signs_differ("a < b", "a > b")
    assert signs_differ("C", "C++")
    assert not signs_differ("“a”, b.", "a - b")


def test_words_are_counted_by_texts_in_fixed_memory() -> None:
    """Counts are those of a dictionary, or a little too high; one text again counts once."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abɗé", k=6)) for _ in range(3000)]
    texts = [" ".join(rng.choices(words, k=8)) for _ in range(4000)]
    counts = WordCounts()
    for start in range(0, len(texts), 500):
        counts.add(texts[start : start + 500])
    right = {word: min(255, sum(word in text.split(" ") for text in texts)) for word in words[:99]}
    assert all(counts[word] >= number - 1 for word, number in right.items())
    assert sum(counts[word] != number for word, number in right.items()) <= 2
    alone = WordCounts()
    alone.add(["wani abu"])
    alone.add(["wani abu", "wani abu"])
    assert (alone["wani"], alone["other"]) == (1, 0)
