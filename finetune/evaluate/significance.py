"""Bootstrap intervals and paired tests over held-out items, without rescoring anything.

A score is a function of sums over items: bits over bytes, or n-gram matches over n-grams. An item's
statistics are counted once; a resample draws items with replacement, adds their statistics up and
computes the score of the sums. Both systems are resampled with the same draws, so that what is hard
for both cancels out (Koehn 2004, Statistical Significance Tests for Machine Translation Evaluation;
Efron and Tibshirani 1993 for the percentile interval).

Legend: N items, K statistics of an item, R resamples, B resamples of one block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Winner = Literal["adapter", "base", "neither"]
ScoreOfSums = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Sums (..., K) -> scores (...)."""

CONFIDENCE = 0.95
MIN_ITEMS = 10
"""Fewer items never make a winner: a bootstrap over a handful of items is too sure of itself
(with 5 items that all agree its interval excludes 0, an exact sign test says p = 0.06)."""
_BLOCK_DRAWS = 1 << 21  # draws held in memory at once: 16 MiB


@dataclass(frozen=True, slots=True)
class Interval:
    """A score with its percentile bootstrap interval (95 %)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same items; `difference` is adapter minus base, with its interval."""

    base: Interval
    adapter: Interval
    difference: Interval
    p_value: float
    better: Winner
    num_items: int


def ratio_of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return first over second statistic: sums (..., 2) -> ratios (...).

    >>> ratio_of_sums(np.array([[6.0, 4.0], [1.0, 2.0]])).tolist()
    [1.5, 0.5]
    """
    return sums[..., 0] / sums[..., 1]


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
    difference = _interval(adapter_value - base_value, difference_R)
    return Comparison(
        base=_interval(base_value, base_R),
        adapter=_interval(adapter_value, adapter_R),
        difference=difference,
        p_value=_two_sided(difference_R),
        better=_winner(difference, higher_is_better=higher_is_better, num_items=len(base)),
        num_items=len(base),
    )


def resampled_sums(
    systems: tuple[NDArray[np.float64], ...], *, resamples: int, seed: int
) -> tuple[NDArray[np.float64], ...]:
    """Return for each system (N, K) the summed statistics (R, K) of the same R resamples.

    Draws come from numpy's Philox with `seed`: the same on every machine and number of threads.
    """
    num_items, num_statistics = systems[0].shape
    rng = np.random.Generator(np.random.Philox(seed))
    block_size = max(1, _BLOCK_DRAWS // num_items)
    sums = tuple(np.empty((resamples, num_statistics)) for _ in systems)
    for start in range(0, resamples, block_size):
        stop = min(start + block_size, resamples)
        counts_BN = _draw(rng, num_resamples=stop - start, num_items=num_items)
        for system_NK, sums_RK in zip(systems, sums, strict=True):
            for k in range(num_statistics):
                # not a matrix product: BLAS adds in an order that depends on its threads
                sums_RK[start:stop, k] = (counts_BN * system_NK[:, k]).sum(axis=1)
    return sums


def _draw(rng: np.random.Generator, *, num_resamples: int, num_items: int) -> NDArray[np.float64]:
    """Return how often each item was drawn, (B, N), each row summing to N."""
    drawn_BN = rng.integers(num_items, size=(num_resamples, num_items))
    flat = drawn_BN + num_items * np.arange(num_resamples)[:, None]
    counts = np.bincount(flat.ravel(), minlength=num_resamples * num_items)
    return counts.reshape(num_resamples, num_items).astype(np.float64)


def _total(system_NK: NDArray[np.float64], score: ScoreOfSums) -> float:
    return float(score(system_NK.sum(axis=0)))


def _interval(value: float, scores_R: NDArray[np.float64]) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(scores_R, [tail, 1 - tail])
    # With very few items the resamples can all lie on one side of the whole sample's score.
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


def _two_sided(difference_R: NDArray[np.float64]) -> float:
    not_above = int(np.count_nonzero(difference_R <= 0))
    not_below = int(np.count_nonzero(difference_R >= 0))
    return min(1.0, 2 * (min(not_above, not_below) + 1) / (len(difference_R) + 1))


def _winner(difference: Interval, *, higher_is_better: bool, num_items: int) -> Winner:
    if num_items < MIN_ITEMS or difference.low <= 0 <= difference.high:
        return "neither"
    return "adapter" if (difference.value > 0) == higher_is_better else "base"
