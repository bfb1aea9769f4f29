"""Bootstrap intervals of scores that are functions of sums over items.

A score is a function of sums over items: bits over bytes, tokens over words. An item's statistics
are counted once; a resample draws items with replacement, adds their statistics up and takes the
score of the sums, so that nothing is scored again.

Legend: N items, K statistics of an item, R resamples, B resamples of one block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ScoreOfSums = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Sums (..., K) -> scores (...)."""

CONFIDENCE = 0.95
MIN_ITEMS = 10
"""Fewer items have no interval: a bootstrap over a handful of items is too sure of itself (with 5
items that all agree its interval excludes 0, an exact sign test gives p = 0.06)."""
_BLOCK_DRAWS = 1 << 21  # draws held in memory at once: 16 MiB


@dataclass(frozen=True, slots=True)
class Interval:
    """A score with its percentile bootstrap interval (95 %)."""

    value: float
    low: float
    high: float


def ratio_of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return first over second statistic: sums (..., 2) -> ratios (...).

    >>> ratio_of_sums(np.array([[6.0, 4.0], [1.0, 2.0]])).tolist()
    [1.5, 0.5]
    """
    return sums[..., 0] / sums[..., 1]


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


def interval_of(value: float, scores_R: NDArray[np.float64]) -> Interval:
    """Return a score of the whole sample with the percentile interval of its resamples (R,)."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(scores_R, [tail, 1 - tail])
    # With very few items the resamples can all lie on one side of the whole sample's score.
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


def _draw(rng: np.random.Generator, *, num_resamples: int, num_items: int) -> NDArray[np.float64]:
    """Return how often each item was drawn, (B, N), each row summing to N."""
    drawn_BN = rng.integers(num_items, size=(num_resamples, num_items))
    flat = drawn_BN + num_items * np.arange(num_resamples)[:, None]
    counts = np.bincount(flat.ravel(), minlength=num_resamples * num_items)
    return counts.reshape(num_resamples, num_items).astype(np.float64)
