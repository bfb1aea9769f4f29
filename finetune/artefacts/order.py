"""Data order without a mixture: a pure function of (seed, step), so that resuming needs no state.

The rows of all steps are one endless sequence: a permutation of all rows for epoch 0, another one
for epoch 1, and so on. Step s takes `rows_per_step` of it from place `s * rows_per_step`.
The permutation sorts raw Philox words (Salmon et al. 2011), whose stream numpy promises never to
change; `Generator.permutation` has no such promise.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_WORD = 2**64 - 1


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, num_rows: int) -> NDArray[np.int64]:
    order_N = np.argsort(words(seed, epoch, count=num_rows), kind="stable")
    order_N.setflags(write=False)  # the cache hands the same array to everyone
    return order_N


def rows_of_step(seed: int, step: int, *, num_rows: int, rows_per_step: int) -> NDArray[np.int64]:
    """Return the row numbers of step `step` (counted from 0), shape (rows_per_step,).

    Every row comes once before any comes again; a step may reach over the end of an epoch.

    >>> [rows_of_step(7, s, num_rows=5, rows_per_step=2).tolist() for s in range(3)]
    [[4, 1], [3, 2], [0, 3]]
    >>> rows_of_step(7, 1_000_000, num_rows=5, rows_per_step=2).tolist()
    [1, 3]
    """
    first, last = step * rows_per_step, (step + 1) * rows_per_step
    parts = []
    while first < last:
        epoch, offset = divmod(first, num_rows)
        taken = min(last - first, num_rows - offset)
        parts.append(_permutation(seed, epoch, num_rows)[offset : offset + taken])
        first += taken
    return np.concatenate(parts)


def times_drawn(seed: int, row: int, *, num_rows: int) -> NDArray[np.int64]:
    """Return how often each row is among the first `row` of the sequence, shape (num_rows,).

    >>> times_drawn(7, 6, num_rows=5).tolist()
    [1, 1, 1, 2, 1]
    """
    epochs, rest = divmod(row, num_rows)
    times = np.full(num_rows, epochs, dtype=np.int64)
    times[_permutation(seed, epochs, num_rows)[:rest]] += 1
    return times


def micro_batches(
    rows: NDArray[np.int64], *, rank: int, ranks: int, size: int
) -> list[NDArray[np.int64]]:
    """Return what one rank runs of a step's rows: equally many micro-batches on each, some empty.

    Together the ranks run every row once; which rank runs which changes no sum but its rounding.

    >>> [m.tolist() for m in micro_batches(np.arange(5), rank=1, ranks=2, size=2)]
    [[3, 4], []]
    """
    share = -(-len(rows) // ranks)
    mine = rows[rank * share : (rank + 1) * share]
    return [mine[first : first + size] for first in range(0, share, size)]


def key_of_step(seed: int, step: int) -> int:
    """Return the 63-bit key from which everything random within a step (dropout) is drawn.

    >>> key_of_step(0, 1) == key_of_step(0, 1), key_of_step(0, 1) == key_of_step(1, 0)
    (True, False)
    """
    # Epoch numbers never reach 2**63, so these words are no permutation's.
    return int(words(seed, step | 1 << 63, count=1)[0]) >> 1


def words(seed: int, number: int, *, count: int) -> NDArray[np.uint64]:
    """Return the first raw Philox words of a key: the same with every numpy, on every machine."""
    # A list of large Python integers would go through float64 and lose its low bits.
    key = np.array([seed & _WORD, number], dtype=np.uint64)
    return np.random.Philox(key=key).random_raw(count)
