"""Agreement of judges: Krippendorff's alpha.

Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), by the coincidences of the values
of one unit. Judges may leave units out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate, combinations
from typing import Literal

Level = Literal["nominal", "ordinal", "interval"]
Distance = Callable[[float, float], float]


def krippendorff_alpha(units: Sequence[Sequence[float]], *, level: Level) -> float | None:
    """Return the agreement on units, each with the values that judges gave it, in any order.

    1: full agreement; 0: as much as by chance; below 0: judges contradict each other. Nominal
    values are numbers that name classes. None where nothing can be said: no unit has two values, or
    all values are equal.

    >>> krippendorff_alpha([(1, 1), (2, 2), (3, 3)], level="nominal")
    1.0
    """
    paired = [values for values in units if len(values) > 1]
    counts = Counter(value for values in paired for value in values)
    distance = _distance(level, counts)
    observed = sum(
        2 * distance(one, other) / (len(values) - 1)
        for values in paired
        for one, other in combinations(values, 2)
    )
    expected = sum(
        2 * counts[one] * counts[other] * distance(one, other)
        for one, other in combinations(counts, 2)
    )
    if not expected:
        return None
    return 1 - (sum(counts.values()) - 1) * observed / expected


def _distance(level: Level, counts: Counter[float]) -> Distance:
    if level == "nominal":
        return lambda one, other: float(one != other)
    if level == "interval":
        return lambda one, other: (one - other) ** 2
    order = sorted(counts)
    up_to = list(accumulate(counts[value] for value in order))

    def rank(value: float) -> float:
        """Return the mean rank of a value: between two of them lie all values of their classes."""
        return up_to[bisect_left(order, value)] - counts[value] / 2

    return lambda one, other: (rank(one) - rank(other)) ** 2
