"""Agreement and means of judges: published examples, and rates over simulations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.statistics.agreement import Level, krippendorff_alpha
from finetune.statistics.judged_means import judged_mean

TWO_JUDGES = ("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0")
FOUR_JUDGES = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
"""Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), sections A and C."""


def units(lines: tuple[str, ...]) -> list[list[int]]:
    rows = zip(*(line.split() for line in lines), strict=True)
    return [[int(value) for value in row if value != "."] for row in rows]


@pytest.mark.parametrize(
    ("lines", "level", "alpha"),
    [
        (TWO_JUDGES, "nominal", 0.095),
        (FOUR_JUDGES, "nominal", 0.743),
        (FOUR_JUDGES, "ordinal", 0.815),
        (FOUR_JUDGES, "interval", 0.849),
    ],
)
def test_alpha_is_that_of_the_published_examples(
    lines: tuple[str, ...], level: Level, alpha: float
) -> None:
    """With missing values, at each level, to the three digits that are published."""
    assert krippendorff_alpha(units(lines), level=level) == pytest.approx(alpha, abs=5e-4)


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, 100), max_size=5), max_size=12),
    st.sampled_from(["nominal", "ordinal", "interval"]),
    st.randoms(),
)
def test_alpha_does_not_depend_on_the_order_of_judges_and_units(
    found: list[list[int]], level: Level, random: np.random.Generator
) -> None:
    """It is at most 1, or nothing at all; a unit that one judge has seen changes nothing."""
    alpha = krippendorff_alpha(found, level=level)
    assert alpha is None or alpha <= 1 + 1e-9
    other = [sorted(values) for values in reversed(found)] + [[7]]
    again = krippendorff_alpha(other, level=level)
    assert (alpha is None) == (again is None)
    assert alpha is None or alpha == pytest.approx(again)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_is_none_where_nothing_can_be_said(level: Level) -> None:
    """Without a second judge, and where all gave one value."""
    assert krippendorff_alpha([[1], [2], []], level=level) is None
    assert krippendorff_alpha([[3, 3], [3, 3]], level=level) is None


def test_chance_has_an_alpha_near_zero() -> None:
    """Two judges who draw their marks agree no more than by chance."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 101, size=(2000, 2)).tolist()
    assert abs(krippendorff_alpha(drawn, level="interval") or 1) < 0.06


def test_the_interval_covers_the_truth_where_judges_differ() -> None:
    """4 judges with habits of their own, 30 items: the 95 % interval holds the truth in at least
    90 of 100 campaigns; a bootstrap over items alone does so far less often."""
    rng = np.random.default_rng(1)
    covered = {"both": 0, "items": 0}
    for number in range(100):
        cells_JN = (
            rng.normal(0, 10, (4, 1)) + rng.normal(0, 10, (1, 30)) + rng.normal(0, 10, (4, 30))
        )
        both = judged_mean(cells_JN, seed=number)
        items = judged_mean(cells_JN.mean(axis=0, keepdims=True), seed=number)
        covered["both"] += both.low <= 0 <= both.high
        covered["items"] += items.low <= 0 <= items.high
    assert covered["both"] >= 85
    assert covered["items"] < covered["both"]


def test_few_items_have_no_interval() -> None:
    """Nine items have a mean and no interval; ten have one."""
    few = judged_mean(np.arange(9.0)[None, :])
    assert (few.value, np.isnan(few.low), np.isnan(few.high)) == (4.0, True, True)
    assert judged_mean(np.arange(10.0)[None, :]).low < 4.5


def test_cells_that_were_not_judged_do_not_count() -> None:
    """The mean is that of the judgements that were made."""
    cells_JN = np.full((2, 10), np.nan)
    cells_JN[0, :5], cells_JN[1, 5:] = 1.0, 0.0
    found = judged_mean(cells_JN)
    assert found.value == 0.5
    assert found.low < 0.5 < found.high
    with pytest.raises(ValueError):  # noqa: PT011, its only one
        judged_mean(np.full((2, 3), np.nan))
