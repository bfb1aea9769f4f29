"""A byte n-gram model: the yardstick of a language model that knows nothing but training texts.

Interpolated over the orders 1 to 5 by Witten and Bell (1991): each context gives as much weight to
the next shorter one as it has different successors. Below order 1 all symbols are alike. A text is
begun by a mark that nothing predicts and ended by one that is predicted, as models do.

Legend: T symbols of all texts, C different codes, a code being up to five symbols in 9 bits each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

ORDERS = 5
_END, _BEGIN, _SYMBOLS, _BITS = 256, 257, 257, 9
"""Bytes, the mark at the end and the one at the beginning; 257 of them can be predicted."""


@dataclass(frozen=True, slots=True)
class _Order:
    """Counts of one order."""

    codes_C: NDArray[np.int64]
    counts_C: NDArray[np.int64]
    contexts_C: NDArray[np.int64]
    totals_C: NDArray[np.int64]
    """Symbols after each context."""
    kinds_C: NDArray[np.int64]
    """Different ones."""


@dataclass(frozen=True, slots=True)
class ByteNgrams:
    """Counts of byte n-grams."""

    orders: tuple[_Order, ...]

    @property
    def size_bytes(self) -> int:
        """Return the memory of the counts."""
        return sum(
            getattr(order, one.name).nbytes for order in self.orders for one in fields(_Order)
        )


def count(texts: Sequence[bytes]) -> ByteNgrams:
    """Count the n-grams of texts."""
    symbols_T, _ = _symbols(texts)
    return ByteNgrams(tuple(_count(symbols_T, order) for order in range(1, ORDERS + 1)))


def nats_of(
    model: ByteNgrams, texts: Sequence[bytes], *, sizes_N: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the negative log-likelihood of each text and of its end mark, in nats (N, 2).

    `sizes_N`: only of so many bytes at its end, the others being what they are predicted from.
    """
    symbols_T, text_T = _symbols(texts)
    predicted_T = symbols_T != _BEGIN
    p_T = np.full(int(predicted_T.sum()), 1 / _SYMBOLS)
    for order, counted in enumerate(model.orders, start=1):
        codes_T = _codes(symbols_T, order)[predicted_T]
        seen_T = _looked_up(codes_T, counted.codes_C, counted.counts_C)
        contexts_T = codes_T >> _BITS
        total_T = _looked_up(contexts_T, counted.contexts_C, counted.totals_C)
        kinds_T = _looked_up(contexts_T, counted.contexts_C, counted.kinds_C)
        known_T = total_T > 0
        mixed_T = (seen_T + kinds_T * p_T) / np.maximum(total_T + kinds_T, 1)
        p_T = np.where(known_T, mixed_T, p_T)
    found_N2 = np.zeros((len(texts), 2))
    is_end_T, of_T = symbols_T[predicted_T] == _END, text_T[predicted_T]
    counted_T = np.ones(len(p_T), dtype=bool)
    if sizes_N is not None:
        ends_N = np.cumsum([len(text) + 1 for text in texts])
        counted_T = ends_N[of_T] - np.arange(len(p_T)) <= np.asarray(sizes_N)[of_T] + 1
    found = (of_T[counted_T], is_end_T[counted_T].astype(int))
    np.add.at(found_N2, found, -np.log(p_T[counted_T]))
    return found_N2


def _symbols(texts: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the symbols of all texts, one after the other, and the text of each."""
    sizes_N = np.array([len(text) + ORDERS for text in texts], dtype=np.int64)
    symbols_T = np.full(int(sizes_N.sum()), _BEGIN, dtype=np.int64)
    ends_N = np.cumsum(sizes_N)
    symbols_T[ends_N - 1] = _END
    text_T = np.repeat(np.arange(len(texts)), sizes_N)
    place_T = np.arange(len(symbols_T)) - (ends_N - sizes_N)[text_T]
    is_byte_T = (place_T >= ORDERS - 1) & (place_T < sizes_N[text_T] - 1)
    symbols_T[is_byte_T] = np.frombuffer(b"".join(texts), dtype=np.uint8)
    return symbols_T, text_T


def _codes(symbols_T: NDArray[np.int64], order: int) -> NDArray[np.int64]:
    """Return at each place the code of the last `order` symbols, the place's own lowest.

    Texts begin with as many marks as there are symbols in the longest context.
    """
    codes_T = symbols_T.copy()
    for back in range(1, order):
        codes_T[back:] |= symbols_T[:-back] << (_BITS * back)
    return codes_T


def _count(symbols_T: NDArray[np.int64], order: int) -> _Order:
    codes_T = _codes(symbols_T, order)[symbols_T != _BEGIN]
    codes_C, counts_C = np.unique(codes_T, return_counts=True)
    contexts_C, first_C, kinds_C = np.unique(
        codes_C >> _BITS, return_index=True, return_counts=True
    )
    totals_C = np.add.reduceat(counts_C, first_C) if len(first_C) else first_C
    return _Order(codes_C, counts_C, contexts_C, totals_C, kinds_C)


def _looked_up(
    wanted_T: NDArray[np.int64], codes_C: NDArray[np.int64], values_C: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the value of each code, 0 for those that were not counted."""
    if not len(codes_C):
        return np.zeros(len(wanted_T), dtype=np.int64)
    at_T = np.minimum(np.searchsorted(codes_C, wanted_T), len(codes_C) - 1)
    return np.where(codes_C[at_T] == wanted_T, values_C[at_T], 0)
