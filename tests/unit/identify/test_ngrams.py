from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune.identify.ngrams import BUCKETS, Accuracy, fold_of, learn, ngrams
from tests.support.identify_texts import FIRST, SECOND, made_up


def test_two_kinds_of_text_differ_on_lines_not_learned_from() -> None:
    """The held-out accuracy is stated with its interval, and new lines are classified correctly."""
    found = learn({"aaa_Latn": FIRST, "bbb_Latn": SECOND})
    assert found is not None
    for language in ("aaa_Latn", "bbb_Latn"):
        accuracy = found.accuracy[language]
        assert accuracy.of == 300
        assert accuracy.share > 0.98
        assert accuracy.interval[0] < accuracy.share <= accuracy.interval[1] <= 1
    [fresh] = made_up("opqrstuwxyzɗƙ", lines=1, seed=3)
    scores = found.scores(fresh)
    assert scores["bbb_Latn"] > scores["aaa_Latn"]


def test_a_stray_line_does_not_speak_for_itself() -> None:
    """Lines of one kind among the other's are found, although they were in the training text."""
    stray = made_up("opqrstuwxyzɗƙ", lines=30, seed=4)
    found = learn({"aaa_Latn": [*FIRST, *stray], "bbb_Latn": SECOND})
    assert found is not None
    scored = [found.scores(line) for line in stray]
    assert sum(s["bbb_Latn"] > s["aaa_Latn"] for s in scored) >= 29


def test_nothing_is_learned_without_something_to_contrast_with() -> None:
    """One language, or one with a few lines, gives no classifier."""
    assert learn({"aaa_Latn": FIRST}) is None
    assert learn({"aaa_Latn": FIRST, "bbb_Latn": SECOND[:3]}) is None


def test_the_same_texts_give_the_same_numbers() -> None:
    """Scores are whole numbers until the last step, so that they repeat exactly."""
    one, two = (learn({"aaa_Latn": FIRST, "bbb_Latn": SECOND}) for _ in range(2))
    assert one is not None
    assert two is not None
    assert one.scale == two.scale
    assert all(np.array_equal(a, b) for a, b in zip(one.tables_kc, two.tables_kc, strict=True))
    assert one.tables_kc[0].dtype == np.int16
    assert one.scores(FIRST[0]) == two.scores(FIRST[0])


EXPECTED = [51789, 74361, 107530, 51789, 1255, 129429, 26893, 82318, 60151, 105569]


def test_the_hash_of_ngrams_is_the_same_on_any_machine() -> None:
    """The buckets of a text with letters outside ASCII are these, wherever it is computed."""
    assert ngrams("Aɗ").tolist() == ngrams("  aɗ ").tolist()
    assert len(ngrams("Aɗ")) == 4 + 3 + 2 + 1
    assert ngrams("Aɗ").tolist() == EXPECTED


@given(st.text(max_size=60))
def test_any_text_has_buckets(text: str) -> None:
    """Every text that can be written gives at least the bucket of a space, all within range."""
    found = ngrams(text)
    assert len(found) > 0
    assert 0 <= found.min() <= found.max() < BUCKETS


@example(right=0, more=69)
@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_holds_the_share(right: int, more: int) -> None:
    """Wilson's interval lies in [0, 1], holds the share and narrows with the number of lines."""
    found = Accuracy(right, right + more)
    low, high = found.interval
    assert 0 <= low <= found.share <= high <= 1
    wide = found.interval[1] - found.interval[0]
    many = Accuracy(100 * right, 100 * (right + more)).interval
    assert many[1] - many[0] < wide


def test_no_lines_say_nothing() -> None:
    """An accuracy of no lines has the whole range as its interval."""
    assert Accuracy(0, 0).interval == (0.0, 1.0)
    assert Accuracy(0, 0).share == pytest.approx(0.0)


@given(st.text())
def test_a_line_has_one_half(line: str) -> None:
    """The same line is in the same half each time, whatever it is."""
    assert fold_of(line) == fold_of(line) in (0, 1)
