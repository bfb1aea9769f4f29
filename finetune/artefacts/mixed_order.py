"""Data order under a data mixture: a pure function of (seed, step).

Every group of rows is an endless sequence of its own: a permutation of its rows for its epoch 0,
another one for epoch 1, and so on. All groups run along one time line, each at the speed of its
weight, and a row is taken at the time at which its group has got as far as the row's place: its
tokens (or bytes) follow the share, and no group is ever ahead or behind by more than a row. Each
group has a phase of its own, so that many small groups do not come all at once. Step s takes the
rows from number `s * rows_per_step` on, in order of their times; how far every group is at any
row is found by bisection, so no state is kept.

All numbers are integers: every machine finds the same rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.order import words
from finetune.mix.mixture_plan import WEIGHT_UNITS, Interval

PHASE_UNITS = 2**16
"""A row's place is counted in these parts of a unit, so that groups begin at different places."""


@dataclass(frozen=True, slots=True, eq=False)
class RowGroup:
    """Rows that have one share together. N rows."""

    name: str
    """Decides its permutations, whatever other groups there are."""
    rows_N: NDArray[np.int64]
    units_N: NDArray[np.int64]
    """Tokens (or bytes) of each row, at least 1."""


@dataclass(frozen=True, slots=True)
class _Begin:
    """Start of an interval: rows drawn of each group, and the position in each."""

    row: int
    taken: tuple[int, ...]
    reached: tuple[int, ...]


class MixedOrder:
    """The rows of all steps. It owns the permutations that were asked for last."""

    def __init__(
        self,
        seed: int,
        *,
        groups: Sequence[RowGroup],
        intervals: Sequence[Interval],
    ) -> None:
        """`intervals` have a weight for each group; each has one above 0."""
        self.groups = tuple(groups)
        self._seeds = [_seed_of(seed, group.name) for group in groups]
        self._totals = [int(g.units_N.sum()) * PHASE_UNITS for g in groups]
        self._longest = max(int(g.units_N.max()) for g in groups) * PHASE_UNITS
        self._epoch = lru_cache(maxsize=2 * len(groups) + 2)(self._epoch_of)
        self._cut = lru_cache(maxsize=4)(self._cut_at)
        self._intervals = tuple(intervals)
        self._begins = [_Begin(0, (0,) * len(groups), (0,) * len(groups))]
        for number, interval in enumerate(intervals[:-1]):
            self._begins.append(self._begin_after(number, interval.end))

    def take(self, first: int, last: int) -> NDArray[np.int64]:
        """Return rows `first` to `last` (exclusive) of the sequence, shape (last - first,)."""
        found: list[tuple[int, int, int, int]] = []
        for number in range(self._number_of(first), self._number_of(last - 1) + 1):
            begin = max(first, self._begins[number].row)
            is_last = number + 1 == len(self._intervals)
            end = last if is_last else min(last, self._intervals[number].end)
            before, after = self.taken(begin, of=number), self.taken(end, of=number)
            for group, (a, b) in enumerate(zip(before, after, strict=True)):
                found += [
                    (number, self._time(number, group, place), group, self._row(group, place))
                    for place in range(a, b)
                ]
        return np.array([row for *_, row in sorted(found)], dtype=np.int64)

    def taken(self, row: int, *, of: int | None = None) -> tuple[int, ...]:
        """Return how many rows of each group are among the first `row` of the sequence."""
        return self._cut(self._number_of(row - 1) if of is None else of, row)[0]

    def times_drawn(self, row: int, *, num_rows: int) -> NDArray[np.int64]:
        """Return how often each row of the split is among the first `row`, shape (num_rows,)."""
        times = np.zeros(num_rows, dtype=np.int64)
        for group, (rows, count) in enumerate(zip(self.groups, self.taken(row), strict=True)):
            epochs, rest = divmod(count, len(rows.rows_N))
            times[rows.rows_N] += epochs
            times[self._epoch(group, epochs)[0][:rest]] += 1
        return times

    def _number_of(self, row: int) -> int:
        """Return the number of the interval in which a row of the sequence is."""
        return sum(begin.row <= max(row, 0) for begin in self._begins) - 1

    def _begin_after(self, number: int, row: int) -> _Begin:
        """Return where the interval after interval `number` begins."""
        taken, time = self._cut(number, row)
        before = self._begins[number].reached
        weights = self._intervals[number].weights
        reached = (r + _passed(time, w) for r, w in zip(before, weights, strict=True))
        return _Begin(row, taken, tuple(reached))

    def _cut_at(self, number: int, row: int) -> tuple[tuple[int, ...], int]:
        """Return rows taken of each group when `row` are taken in all, and the time of the last."""
        begin = self._begins[number]
        if row == begin.row:
            return begin.taken, -1
        low, high = self._bracket(number, row)
        while high - low > 1:
            middle = (low + high) // 2
            if sum(self._counts(number, middle)) >= row:
                high = middle
            else:
                low = middle
        counts, before = self._counts(number, high), self._counts(number, high - 1)
        surplus = sum(counts) - row  # rows of the same instant: groups in order
        taken = list(counts)
        for group in reversed(range(len(taken))):
            if surplus and counts[group] > before[group]:
                taken[group] -= 1
                surplus -= 1
        return tuple(taken), high

    def _bracket(self, number: int, row: int) -> tuple[int, int]:
        """Return times before and after which fewer, and as many rows as `row` are taken."""
        weights = self._intervals[number].weights
        each = sum(
            w * len(g.rows_N) * PHASE_UNITS / total
            for w, g, total in zip(weights, self.groups, self._totals, strict=True)
        )  # rows in WEIGHT_UNITS of time; a guess, so rounding does no harm
        guess = int((row - self._begins[number].row) / each * WEIGHT_UNITS)
        low = high = max(0, guess)
        width = self._longest
        while sum(self._counts(number, high)) < row:
            low, high, width = high, high + width, 2 * width
        while low >= 0 and sum(self._counts(number, low)) >= row:
            low, high, width = max(-1, low - width), low, 2 * width
        return low, high

    def _counts(self, number: int, time: int) -> tuple[int, ...]:
        """Return rows taken of each group up to a time of an interval, that instant included."""
        begin, weights = self._begins[number], self._intervals[number].weights
        if time < 0:
            return begin.taken
        return tuple(
            self._count(group, reached + _passed(time, weight)) if weight else taken
            for group, (taken, reached, weight) in enumerate(
                zip(begin.taken, begin.reached, weights, strict=True)
            )
        )

    def _count(self, group: int, reached: int) -> int:
        epoch, rest = divmod(reached, self._totals[group])
        rows, places = self._epoch(group, epoch)
        return epoch * len(rows) + int(np.searchsorted(places, rest, side="right"))

    def _time(self, number: int, group: int, place: int) -> int:
        """Return the first instant at which a group has got as far as its row number `place`."""
        epoch, offset = divmod(place, len(self.groups[group].rows_N))
        at = epoch * self._totals[group] + int(self._epoch(group, epoch)[1][offset])
        left = at - self._begins[number].reached[group]
        return max(0, -(-left * WEIGHT_UNITS // self._intervals[number].weights[group]))

    def _row(self, group: int, place: int) -> int:
        epoch, offset = divmod(place, len(self.groups[group].rows_N))
        return int(self._epoch(group, epoch)[0][offset])

    def _epoch_of(self, group: int, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of a group in the order of an epoch, and the place of each within it."""
        rows = self.groups[group]
        seed, phase = self._seeds[group]
        order = np.argsort(words(seed, epoch, count=len(rows.rows_N)), kind="stable")
        units = rows.units_N[order]
        places = (np.cumsum(units) - units) * PHASE_UNITS + units * phase
        return rows.rows_N[order], places


def _passed(time: int, weight: int) -> int:
    """Return how far a group gets until a time of an interval."""
    return max(0, time) * weight // WEIGHT_UNITS


def _seed_of(seed: int, name: str) -> tuple[int, int]:
    """Return the seed of a group's permutations, and its phase."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=10).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
