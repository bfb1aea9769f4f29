"""Lengths of many texts as a histogram, and which ones lie far outside, robustly.

Median and median absolute deviation instead of mean and deviation: a few very long texts do not
hide each other (Iglewicz and Hoaglin 1993 call a modified z-score of more than 3.5 an outlier; here
it is 8, because lengths of texts have heavy tails).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

BINS_PER_DOUBLING = 8
MAX_SCORE = 8.0
NORMAL = 1.4826
"""Makes the median absolute deviation of normal data its standard deviation."""
MIN_TEXTS = 200
MIN_FACTOR = 4.0
"""Nothing within this factor of the median is far outside, however alike the others are."""


@dataclass(slots=True)
class Spread:
    """Ratios (or lengths) by logarithm, in a bounded number of bins."""

    bins: Counter[int] = field(default_factory=Counter)
    count: int = 0
    middle: int = 0
    deviation: int = 0
    _measured: int = 0

    def add(self, value: float) -> None:
        """Count a value above 0; measure anew whenever there are an eighth more."""
        self.bins[round(BINS_PER_DOUBLING * math.log2(value))] += 1
        self.count += 1
        if self.count >= self._measured + max(1, self._measured // 8):
            self._measure()

    def is_outlier(self, value: float) -> bool:
        """Say whether a value lies far outside of those that were counted."""
        if self.count < MIN_TEXTS:
            return False
        distance = abs(BINS_PER_DOUBLING * math.log2(value) - self.middle)
        if distance < BINS_PER_DOUBLING * math.log2(MIN_FACTOR):
            return False
        return distance > MAX_SCORE * NORMAL * max(self.deviation, 1.0)

    def _measure(self) -> None:
        self._measured = self.count
        self.middle = _median(self.bins)
        apart: Counter[int] = Counter()
        for place, times in self.bins.items():
            apart[abs(place - self.middle)] += times
        self.deviation = _median(apart)


def _median(counted: Counter[int]) -> int:
    half, reached = counted.total() / 2, 0
    for value in sorted(counted):
        reached += counted[value]
        if reached >= half:
            return value
    return 0
