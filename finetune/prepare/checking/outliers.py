"""Length outliers: documents far longer or shorter than their corpus or source.

Lengths are kept as a histogram. Median and median absolute deviation instead of mean and deviation:
a few very long texts do not hide each other (Iglewicz and Hoaglin 1993 call a modified z-score of
more than 3.5 an outlier; here it is 8, because lengths of texts have heavy tails).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from finetune.prepare.reading.document import Document
from finetune.prepare.step import Outlier, Place, Result, Step
from finetune.text.oddities import Finding

FIRST_DOCUMENTS = 1000
"""Texts seen before the first is judged; later ones are compared with all before."""
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


def usual_lengths(*, drop: bool) -> Step:
    """Return the step that reports length outliers, or rejects them with `drop`."""

    def judged(documents: Iterator[Document]) -> Iterator[Result]:
        spreads: dict[str, Spread] = {}
        first = list(islice(documents, FIRST_DOCUMENTS))
        for document in first:
            _add(spreads, document)
        for number, document in enumerate(chain(first, documents)):
            if number >= len(first):
                _add(spreads, document)
            key = _key(document)
            if not spreads[key].is_outlier(_value(document)):
                yield Result(document)
            elif drop:
                yield Result(document, key)
            else:
                place = Place(document.card, document.language, document.where)
                yield Result(document, notes=(Outlier(place, Finding(key, 1, document.target)),))

    return judged


def _add(spreads: dict[str, Spread], document: Document) -> None:
    spreads.setdefault(_key(document), Spread()).add(_value(document))


def _key(document: Document) -> str:
    return "length-ratio" if document.direction else "length-outlier"


def _value(document: Document) -> float:
    length = max(1, len(document.target))
    if not document.direction:
        return float(length)
    return length / max(1, len(document.source or ""))
