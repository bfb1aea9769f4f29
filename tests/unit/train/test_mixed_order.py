"""Order of rows where languages have shares."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from finetune.artefacts.mixed_order import MixedOrder, RowGroup
from finetune.mix.mixture_plan import WEIGHT_UNITS, Interval

SEEDS = st.integers(min_value=-(2**70), max_value=2**70)
SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=5)


def order_of(
    sizes: Sequence[int],
    *intervals: tuple[int, Sequence[float]],
    seed: int = 0,
    units: tuple[int, int] = (200, 512),
) -> tuple[MixedOrder, NDArray[np.int64]]:
    """Return an order over groups of so many rows, and the units of every row.

    `intervals`: (end, shares of the groups).
    """
    units_N = units[0] + np.arange(sum(sizes)) * 7919 % (units[1] - units[0] + 1)
    ends = np.cumsum(sizes)
    groups = [
        RowGroup(f"group {n}", np.arange(end - size, end), units_N[end - size : end])
        for n, (size, end) in enumerate(zip(sizes, ends, strict=True))
    ]
    made = [Interval(e, tuple(round(WEIGHT_UNITS * s) for s in shares)) for e, shares in intervals]
    return MixedOrder(seed, groups=groups, intervals=made), units_N


def even(sizes: Sequence[int]) -> tuple[int, list[float]]:
    return 10**9, [1 / len(sizes)] * len(sizes)


def shares(
    rows: NDArray[np.int64], sizes: Sequence[int], units_N: NDArray[np.int64]
) -> list[float]:
    """Return what part of the units of some rows each group has."""
    begins = [0, *np.cumsum(sizes)[:-1].tolist()]
    group_N = np.searchsorted(np.array(begins), rows, side="right") - 1
    sums = np.bincount(group_N, weights=units_N[rows], minlength=len(sizes))
    return (sums / sums.sum()).tolist()


@pytest.mark.parametrize(
    "wanted",
    [
        [0.2, 0.2, 0.2, 0.2, 0.2],
        [0.01, 0.02, 0.07, 0.3, 0.6],
        [0.5, 0.3, 0.1, 0.09, 0.01],
    ],
)
def test_shares_are_within_one_percent_of_the_plan(wanted: list[float]) -> None:
    """With a group of one row and one of 200,000 together, at the end and at every step on the way:
    no group is ever ahead or behind by more than its longest row."""
    sizes = [1, 3, 47, 5000, 200_000]
    order, units_N = order_of(sizes, (10**9, wanted), seed=11)
    rows = order.take(0, 12_800)
    assert shares(rows, sizes, units_N) == pytest.approx(wanted, abs=0.001)
    for share, plan in zip(shares(rows, sizes, units_N), wanted, strict=True):
        assert share == pytest.approx(plan, rel=0.01)
    drawn = np.zeros((len(rows), 5))
    begins = np.array([0, *np.cumsum(sizes)[:-1]])
    drawn[np.arange(len(rows)), np.searchsorted(begins, rows, side="right") - 1] = units_N[rows]
    reached = drawn.cumsum(axis=0)
    planned = reached.sum(axis=1, keepdims=True) * np.array(wanted)
    assert np.abs(reached - planned).max() <= 2 * 512


@settings(deadline=None)
@given(seed=SEEDS, sizes=SIZES, each=st.integers(1, 40), steps=st.integers(1, 12), data=st.data())
def test_steps_are_parts_of_one_sequence(
    seed: int, sizes: list[int], each: int, steps: int, data: st.DataObject
) -> None:
    """Whatever was asked for before, and however the sequence is cut, a step has the same rows."""
    cut = data.draw(st.integers(1, each * steps + 5))
    intervals = [(cut, even(sizes)[1]), (10**9, [1.0] + [0.0] * (len(sizes) - 1))]
    order, _ = order_of(sizes, *intervals, seed=seed)
    whole = order.take(0, each * steps).tolist()
    again, _ = order_of(sizes, *intervals, seed=seed)
    for step in data.draw(st.permutations(range(steps))):
        rows = again.take(step * each, (step + 1) * each).tolist()
        assert rows == whole[step * each : (step + 1) * each]


@settings(deadline=None)
@given(seed=SEEDS, sizes=SIZES, rows=st.integers(1, 400), data=st.data())
def test_every_row_of_a_group_comes_once_before_any_comes_again(
    seed: int, sizes: list[int], rows: int, data: st.DataObject
) -> None:
    """Stages or not, tiny groups or not; and what is counted is what was drawn."""
    raw = data.draw(
        st.lists(st.integers(0, 9), min_size=len(sizes), max_size=len(sizes)).filter(any)
    )
    weights = [w / sum(raw) for w in raw]
    order, _ = order_of(sizes, (rows // 3, even(sizes)[1]), (10**9, weights), seed=seed)
    drawn = order.take(0, rows)
    assert len(drawn) == rows
    counts = Counter(drawn.tolist())
    begin = 0
    for size in sizes:
        inside = [counts.get(row, 0) for row in range(begin, begin + size)]
        assert max(inside) - min(inside) <= 1
        begin += size
    times_N = order.times_drawn(rows, num_rows=sum(sizes))
    assert times_N.tolist() == [counts.get(row, 0) for row in range(sum(sizes))]


def test_a_group_without_weight_is_not_drawn() -> None:
    """Not even the row that was due when its interval ended."""
    order, _ = order_of([5, 5], (7, [0.5, 0.5]), (20, [0.0, 1.0]), (10**9, [0.5, 0.5]))
    assert (order.take(7, 20) >= 5).all()
    assert (order.take(20, 40) < 5).any()


def test_many_small_groups_do_not_come_all_at_once() -> None:
    """A hundred languages of one percent in all: no run of 100 rows holds more than a few."""
    sizes = [10_000, *[1] * 100]
    order, _ = order_of(sizes, (10**9, [0.99, *[0.0001] * 100]), units=(512, 512))
    small = order.take(0, 10_000) >= 10_000
    assert 90 <= small.sum() <= 110
    assert np.convolve(small, np.ones(100), "valid").max() <= 8


def test_another_language_leaves_the_order_within_a_group_as_it_is() -> None:
    """A group's permutation depends on the seed and its name alone."""
    two, _ = order_of([30, 30], even([1, 1]), seed=3)
    three, _ = order_of([30, 30, 30], even([1, 1, 1]), seed=3)
    first = [r for r in two.take(0, 50).tolist() if r < 30]
    assert first == [r for r in three.take(0, 75).tolist() if r < 30][: len(first)]


PROGRAM = """
import numpy, random; numpy.random.seed(5); random.seed(6)
from tests.unit.train.test_mixed_order import order_of
order, _ = order_of([3, 40, 500], (30, [0.5, 0.25, 0.25]), (10**9, [0.1, 0.1, 0.8]), seed=3)
print(order.take(0, 12).tolist(), order.take(10**6, 10**6 + 8).tolist())
"""
GOLDEN = "[0, 2, 343, 37, 1, 2, 138, 32, 1, 0, 517, 34] [440, 226, 2, 242, 121, 307, 24, 295]"


def test_the_order_is_the_same_on_every_machine() -> None:
    """Golden row numbers, found by another process with other hash seeds and generators."""
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == GOLDEN
