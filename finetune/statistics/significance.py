"""Paired tests of two systems over held-out documents, without rescoring anything.

The decision is a randomisation test: if two systems are equally good, whose output is whose does
not matter, so each document's pair of outputs is exchanged or not, at random, and the difference
that was found is compared with those of the exchanged data (Noreen 1989; Riezler and Maxwell 2005).
Whole documents are exchanged, since the items of one document are not independent. The interval is
that of the bootstrap of the same documents (finetune.statistics.bootstrap).

Legend: N items, D documents, K statistics of an item or document, R draws, B draws of one block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finetune.statistics.bootstrap import Interval, ScoreOfSums, interval_of, resampled_sums

EXCHANGES = 4999
"""Random exchanges; the smallest p-value is one in 5,000."""
EXACT_DOCUMENTS = 12
"""Up to this many documents all 2 ** D exchanges are made."""
_DETECTED = 1.960 + 0.842  # normal quantiles of a two-sided test at 5 %, and of 80 % power
_BLOCK_DRAWS = 1 << 21


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same items; `difference` is the second minus the first."""

    first: Interval
    second: Interval
    difference: Interval
    p_value: float
    p_floor: float
    """The smallest p-value that the test can give."""
    detectable: float
    """The difference that a test of as many such documents finds in 80 % of cases."""
    num_items: int
    num_documents: int


def compare(
    first_NK: ArrayLike,
    second_NK: ArrayLike,
    *,
    documents: Sequence[Any] | None = None,
    score: ScoreOfSums,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compare two systems; row i of both arrays is the same item, of document `documents[i]`.

    Without `documents` each item is its own. Raises ValueError if there are no items, or if the
    arrays differ in shape.
    """
    first, second = (np.asarray(one, dtype=np.float64) for one in (first_NK, second_NK))
    if first.ndim != 2 or first.shape != second.shape or not len(first):
        raise ValueError(f"need the same items twice, got {first.shape} and {second.shape}")
    num_items = len(first)
    if documents is not None:
        first, second = by_document(first, documents), by_document(second, documents)
    first_RK, second_RK = resampled_sums((first, second), resamples=resamples, seed=seed)
    first_R, second_R = score(first_RK), score(second_RK)
    first_value, second_value = float(score(first.sum(axis=0))), float(score(second.sum(axis=0)))
    difference_R = second_R - first_R
    p_value, p_floor = exchange_test(first, second, score=score, seed=seed)
    return Comparison(
        first=interval_of(first_value, first_R),
        second=interval_of(second_value, second_R),
        difference=interval_of(second_value - first_value, difference_R),
        p_value=p_value,
        p_floor=p_floor,
        detectable=_DETECTED * float(difference_R.std()),
        num_items=num_items,
        num_documents=len(first),
    )


def by_document(items_NK: NDArray[np.float64], documents: Sequence[Any]) -> NDArray[np.float64]:
    """Return the sums of the items of each document (D, K), in order of their first items.

    >>> by_document(np.array([[1.0], [2.0], [4.0]]), ["b", "a", "b"]).tolist()
    [[5.0], [2.0]]
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(documents))}
    sums_DK = np.zeros((len(numbers), items_NK.shape[1]))
    np.add.at(sums_DK, [numbers[name] for name in documents], items_NK)
    return sums_DK


def exchange_test(
    first_DK: NDArray[np.float64], second_DK: NDArray[np.float64], *, score: ScoreOfSums, seed: int
) -> tuple[float, float]:
    """Return the two-sided p-value of a difference, and the smallest that there can be.

    All exchanges of a few documents, else `EXCHANGES` random ones of numpy's Philox with `seed`,
    with one added above and below so that p is never 0.
    """
    num_documents, gain_DK = len(first_DK), second_DK - first_DK
    first_K, second_K = first_DK.sum(axis=0), second_DK.sum(axis=0)
    observed = abs(float(score(second_K) - score(first_K)))
    if observed == 0 or not np.isfinite(observed):
        return 1.0, 1.0
    is_exact = num_documents <= EXACT_DOCUMENTS
    draws = 2**num_documents if is_exact else EXCHANGES
    rng = np.random.Generator(np.random.Philox(seed))
    as_large, block = 0, max(1, _BLOCK_DRAWS // num_documents)
    for start in range(0, draws, block):
        stop = min(start + block, draws)
        if is_exact:
            drawn_BD = np.arange(start, stop)[:, None] >> np.arange(num_documents) & 1
        else:
            drawn_BD = rng.integers(2, size=(stop - start, num_documents))
        moved_BD = drawn_BD.astype(np.float64)
        first_BK = np.empty((stop - start, len(first_K)))
        for k, gain_D in enumerate(gain_DK.T):
            # not a matrix product: BLAS adds in an order that depends on its threads
            first_BK[:, k] = first_K[k] + (moved_BD * gain_D).sum(axis=1)
        found_B = np.abs(score(first_K + second_K - first_BK) - score(first_BK))
        # sums in another order differ in their last bits; equal differences must count as equal
        as_large += int(np.count_nonzero(found_B >= observed * (1 - 1e-9)))
    if is_exact:
        return as_large / draws, min(1.0, 2 / draws)
    return (as_large + 1) / (draws + 1), 1 / (draws + 1)
