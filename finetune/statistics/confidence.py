"""Confidence of a model, calibrated to a score: levels, their coverage, and a test against chance.

Levels are quantile bins of the confidence with the scores that texts of each had; neighbours whose
means are out of order are pooled (isotonic regression by pool-adjacent-violators: Ayer et al.,
"An Empirical Distribution Function for Sampling with Incomplete Information", 1955). The area
under the curve is that of Mann and Whitney.

Legend: N texts, L levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.statistics.claims import LEVEL

MOST_LEVELS, TEXTS_OF_A_LEVEL = 5, 20
INNER = 0.8
"""Share of the scores of a level that its range holds."""
SHUFFLES = 999


@dataclass(frozen=True, slots=True)
class Level:
    """Texts of about the same confidence."""

    from_confidence: float
    """The lowest of it; that of the first level is minus infinity."""
    mean: float
    low: float
    high: float
    """Of their scores; `low` to `high` holds 80 %."""
    texts: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Levels of confidence with the scores of texts in each."""

    levels: tuple[Level, ...]
    """The least sure first. Empty: the confidence separates no better than shuffled ones."""
    auc: float
    """Probability that a text of the better half is given a higher confidence than one of the
    worse half."""
    p_value: float
    """Share of shuffled confidences with such an area, or a larger one."""
    coverage: float | None
    """Share of texts whose score is in the range of their level, levels being those of the other
    half of the texts; None without levels."""
    texts: int

    def level_of(self, confidence: float) -> int:
        """Return the level of a confidence, from 1."""
        return max(1, sum(confidence >= one.from_confidence for one in self.levels))


def calibrated(
    confidence_N: Sequence[float], score_N: Sequence[float], *, seed: int
) -> Calibration:
    """Calibrate confidences to scores of the same texts.

    There are levels only if the area under the curve is larger than that of shuffled confidences
    (p < 0.05) and texts suffice for two of them.
    """
    confidence, score = (np.asarray(x, dtype=np.float64) for x in (confidence_N, score_N))
    is_good = score > np.median(score) if len(score) else np.zeros(0, bool)
    found = area(confidence, is_good)
    rng = np.random.Generator(np.random.Philox(seed))
    shuffled = [area(rng.permutation(confidence), is_good) for _ in range(SHUFFLES)]
    p_value = (1 + sum(one >= found for one in shuffled)) / (1 + SHUFFLES)
    levels = _levels(confidence, score)
    if p_value >= LEVEL or len(levels) < 2:
        return Calibration((), found, p_value, None, len(score))
    return Calibration(levels, found, p_value, _coverage(confidence, score), len(score))


def area(confidence_N: NDArray[np.float64], is_good_N: NDArray[np.bool_]) -> float:
    """Return the area under the curve, ties counted half; 0.5 where one of the classes is empty.

    >>> area(np.array([1.0, 2.0, 3.0]), np.array([False, True, True]))
    1.0
    """
    good, bad = confidence_N[is_good_N], np.sort(confidence_N[~is_good_N])
    if not len(good) or not len(bad):
        return 0.5
    below = np.searchsorted(bad, good, side="left") + np.searchsorted(bad, good, side="right")
    return float(below.sum() / (2 * len(good) * len(bad)))


def _levels(confidence_N: NDArray[np.float64], score_N: NDArray[np.float64]) -> tuple[Level, ...]:
    count = min(MOST_LEVELS, len(score_N) // TEXTS_OF_A_LEVEL)
    if count < 1:
        return ()
    order = np.argsort(confidence_N, kind="stable")
    pools: list[NDArray[np.int64]] = []
    for part in np.array_split(order, count):
        pools.append(part)
        while len(pools) > 1 and score_N[pools[-2]].mean() >= score_N[pools[-1]].mean():
            last = pools.pop()
            pools[-1] = np.concatenate([pools[-1], last])
    return tuple(
        _level(confidence_N[pool], score_N[pool], is_first=number == 0)
        for number, pool in enumerate(pools)
    )


def _level(
    confidence_n: NDArray[np.float64], score_n: NDArray[np.float64], *, is_first: bool
) -> Level:
    tail = (1 - INNER) / 2
    low, high = np.quantile(score_n, [tail, 1 - tail])
    lowest = float("-inf") if is_first else float(confidence_n.min())
    return Level(lowest, float(score_n.mean()), float(low), float(high), len(score_n))


def _coverage(confidence_N: NDArray[np.float64], score_N: NDArray[np.float64]) -> float | None:
    """Return the share of each half that is in the ranges of the other."""
    inside = total = 0
    halves = np.arange(len(score_N)) % 2 == 0
    for half in (halves, ~halves):
        levels = _levels(confidence_N[half], score_N[half])
        if not levels:
            return None
        other = Calibration(levels, 0.5, 1.0, None, 0)
        for confidence, score in zip(confidence_N[~half], score_N[~half], strict=True):
            level = levels[other.level_of(float(confidence)) - 1]
            inside += level.low <= score <= level.high
            total += 1
    return inside / total
