"""Held-out accuracy by number of training lines: right, honest by chance, and the same anywhere."""

from __future__ import annotations

import random

import pytest

from finetune.identify.learning_curve import LEAST_LINES, SIZES, learning_curve
from tests.support.identify_texts import FIRST, SECOND, made_up


def test_unlike_languages_are_separated_and_more_lines_help() -> None:
    """Two languages with different letters are separated after ten lines; each size has its n."""
    curve = learning_curve({"aaa_Latn": FIRST, "bbb_Latn": SECOND}, language="aaa_Latn")
    assert curve is not None
    assert list(curve.accuracy) == [size for size in SIZES if size <= 225]
    assert all(one.share > 0.9 and one.of == 200 for one in curve.accuracy.values())


def test_one_language_under_two_names_is_a_matter_of_chance() -> None:
    """Held-out lines of what is the same are right about half of the time."""
    lines = made_up("abdefghiklmno", lines=600, seed=3)
    texts = {"aaa_Latn": lines[:300], "bbb_Latn": lines[300:], "ccc_Latn": SECOND}
    curve = learning_curve(texts, language="aaa_Latn")
    assert curve is not None
    assert 0.3 < curve.accuracy[100].share < 0.7
    [(nearest, count), *_] = curve.confusions
    assert nearest == "bbb_Latn"
    assert count == curve.accuracy[100].of - curve.accuracy[100].right


def test_the_order_of_lines_and_languages_does_not_matter() -> None:
    """The same texts give the same numbers: folds follow from the lines."""
    shuffled = random.Random(1).sample(FIRST, len(FIRST))
    first = learning_curve({"aaa_Latn": FIRST, "bbb_Latn": SECOND}, language="aaa_Latn")
    again = learning_curve({"bbb_Latn": SECOND, "aaa_Latn": shuffled}, language="aaa_Latn")
    assert first == again


@pytest.mark.parametrize(
    "texts",
    [{"aaa_Latn": FIRST}, {"aaa_Latn": FIRST[: LEAST_LINES - 1], "bbb_Latn": SECOND}, {}],
)
def test_too_little_text_gives_no_number(texts: dict[str, list[str]]) -> None:
    """Without another language, or with a few lines, nothing is claimed."""
    assert learning_curve(texts, language="aaa_Latn") is None
