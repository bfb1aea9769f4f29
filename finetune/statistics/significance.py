"""Paired tests of two systems over held-out items, without rescoring anything.

Both systems are resampled with the same draws (finetune.statistics.bootstrap), so that what is
hard for both cancels out (Koehn 2004, Statistical Significance Tests for Machine Translation
Evaluation).

Legend: N items, K statistics of an item, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finetune.statistics.bootstrap import (
    MIN_ITEMS,
    Interval,
    ScoreOfSums,
    interval_of,
    resampled_sums,
)

Winner = Literal["adapter", "base", "neither"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same items; `difference` is adapter minus base, with its interval."""

    base: Interval
    adapter: Interval
    difference: Interval
    p_value: float
    better: Winner
    num_items: int


def compare(
    base_NK: ArrayLike,
    adapter_NK: ArrayLike,
    *,
    score: ScoreOfSums,
    higher_is_better: bool,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compare two systems by paired bootstrap (Koehn 2004).

    Row i of both arrays is the same item. The p-value is two-sided: twice the share of resamples in
    which the difference is on the other side of zero (or zero), with one added above and below so
    that it is never 0. A system is better only if the interval of the difference excludes 0.

    Raises ValueError if there are no items, or if the arrays differ in shape.
    """
    base = np.asarray(base_NK, dtype=np.float64)
    adapter = np.asarray(adapter_NK, dtype=np.float64)
    if base.ndim != 2 or base.shape != adapter.shape or not len(base):
        raise ValueError(f"need the same items twice, got {base.shape} and {adapter.shape}")
    base_RK, adapter_RK = resampled_sums((base, adapter), resamples=resamples, seed=seed)
    base_R, adapter_R = score(base_RK), score(adapter_RK)
    base_value, adapter_value = _total(base, score), _total(adapter, score)
    difference_R = adapter_R - base_R
    difference = interval_of(adapter_value - base_value, difference_R)
    return Comparison(
        base=interval_of(base_value, base_R),
        adapter=interval_of(adapter_value, adapter_R),
        difference=difference,
        p_value=_two_sided(difference_R),
        better=_winner(difference, higher_is_better=higher_is_better, num_items=len(base)),
        num_items=len(base),
    )


def _total(system_NK: NDArray[np.float64], score: ScoreOfSums) -> float:
    return float(score(system_NK.sum(axis=0)))


def _two_sided(difference_R: NDArray[np.float64]) -> float:
    not_above = int(np.count_nonzero(difference_R <= 0))
    not_below = int(np.count_nonzero(difference_R >= 0))
    return min(1.0, 2 * (min(not_above, not_below) + 1) / (len(difference_R) + 1))


def _winner(difference: Interval, *, higher_is_better: bool, num_items: int) -> Winner:
    if num_items < MIN_ITEMS or difference.low <= 0 <= difference.high:
        return "neither"
    return "adapter" if (difference.value > 0) == higher_is_better else "base"
