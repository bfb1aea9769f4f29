"""F1 of words: SQuAD's score on English without articles, and safe for every script."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.artefacts.items import Item
from finetune.evaluate.metrics.f1 import f1, words
from finetune.evaluate.tasks.short_answers import is_short


def _squad(prediction: str, truth: str) -> float:
    """SQuAD 2.0's `compute_f1` and `normalize_answer`, written down from its published rules."""

    def tokens(text: str) -> list[str]:
        bare = "".join(c for c in text.lower() if c not in string.punctuation)
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split()).split()

    ours, theirs = tokens(prediction), tokens(truth)
    if not ours or not theirs:
        return float(ours == theirs)
    same = sum((Counter(ours) & Counter(theirs)).values())
    if not same:
        return 0.0
    precision, recall = same / len(ours), same / len(theirs)
    return 2 * precision * recall / (precision + recall)


_ascii = st.text(alphabet="bBkK xyz0 .,!$+<=>^`|~-'", max_size=20)


@given(_ascii, _ascii)
def test_equals_squad_on_ascii_text(text, reference):
    """For any texts without articles, empty ones too."""
    assert f1(text, reference) == pytest.approx(_squad(text, reference))


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("क्या?", "क्या", 1.0),
        ("कया", "क्या", 0.0),
        ("«Birnin Kano»", "birnin kano", 1.0),
        ("A gari", "a gari", 1.0),
        ("the Kano", "Kano", 2 / 3),
        ("é", "e\u0301", 1.0),
        ("ᱡᱚᱦᱟᱨ ᱾", "ᱡᱚᱦᱟᱨ", 1.0),
        ("نعم، غداً", "غداً", 2 / 3),
    ],
)
def test_letters_keep_their_marks_and_words_their_articles(text, reference, expected):
    """Case, punctuation and normalisation aside; a vowel sign or a nukta is a difference."""
    assert f1(text, reference) == pytest.approx(expected)


@given(st.text(max_size=30))
def test_a_text_matches_itself(text):
    """In any script; and what is compared is stable."""
    assert f1(text, text) == 1.0
    assert words(" ".join(words(text))) == words(text)


def _item(reference: str | None, **changes: str | None) -> Item:
    fields = {"prompt": "Q", "source": "Q", "direction": None} | changes
    return Item("i", "toy", "hau_Latn", reference=reference, **fields)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (_item("Kano"), True),
        (_item("daya biyu uku hudu biyar shida bakwai takwas tara goma"), True),
        (_item("daya biyu uku hudu biyar shida bakwai takwas tara goma sha"), False),
        (_item("可" * 61), False),
        (_item("可" * 60), True),
        (_item(" "), False),
        (_item(None), False),
        (_item("Kano", prompt=None), False),
        (_item("Kano", direction="eng_Latn>hau_Latn"), False),
    ],
)
def test_which_items_have_short_answers(item, expected):
    """Ten words and 60 characters; a translation or a plain text is no question."""
    assert is_short(item) is expected
