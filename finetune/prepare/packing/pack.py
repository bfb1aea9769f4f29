"""Packing of documents into sequences of fixed length: best-fit decreasing.

A row is a packed sequence of T tokens. Short ragged documents fill 99 % and more of the rows this
way, where padding each one to T would waste most of the work. n documents are a few arrays of n
numbers here (about 60 bytes per document), so that a corpus of any size can be packed.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CHUNK = 2**16


@dataclass(frozen=True, slots=True)
class Rows:
    """Packed sequences as rows of indices: row r is `members_n[starts[r]:starts[r + 1]]`."""

    members_n: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return (self.members_n[a:b] for a, b in zip(self.starts[:-1], self.starts[1:], strict=True))

    def tolist(self) -> list[list[int]]:
        """Return the rows as lists."""
        return [row.tolist() for row in self]


def pack(lengths: ArrayLike, *, row_tokens: int, seed: int) -> Rows:
    """Return rows of indices into `lengths` (n); no row is longer than `row_tokens`.

    Every index stands in exactly one row. The same arguments give the same rows on every machine.
    Equal lengths are taken in an order that the seed decides, and so is the order of rows and of
    documents in a row. Raises ValueError if a length does not fit or is not positive.

    >>> sorted(sorted(row) for row in pack([3, 5, 2], row_tokens=5, seed=0).tolist())
    [[0, 2], [1]]
    """
    lengths_n = np.asarray(lengths, dtype=np.int64)
    for index in np.flatnonzero((lengths_n <= 0) | (lengths_n > row_tokens))[:1]:
        raise ValueError(
            f"document {index}: {lengths_n[index]} tokens do not fit a row of {row_tokens}"
        )
    shuffled_n = _shuffled(len(lengths_n), seed=seed, what="document")
    longest_first_n = shuffled_n[np.argsort(-lengths_n[shuffled_n], kind="stable")]
    row_of_n, count = _best_fit(lengths_n, longest_first_n, row_tokens=row_tokens)
    place_of_row = _inverse(_shuffled(count, seed=seed, what="row"))
    row_of_n = place_of_row[row_of_n]
    members_n = np.lexsort((_inverse(shuffled_n), row_of_n))
    return Rows(members_n, _starts(np.bincount(row_of_n, minlength=count)))


def pack_groups(lengths: ArrayLike, groups: ArrayLike, *, row_tokens: int, seed: int) -> Rows:
    """Return rows as `pack` does, each of one group, so that groups can be sampled by weight.

    `groups` (n): a number of what each index belongs to. Rows of a group stand together.

    >>> pack_groups([2, 2, 2], [5, 3, 5], row_tokens=6, seed=0).tolist()
    [[2, 0], [1]]
    """
    lengths_n, groups_n = np.asarray(lengths, dtype=np.int64), np.asarray(groups)
    members, sizes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    names, first = np.unique(groups_n, return_index=True)
    for name in names[np.argsort(first)]:
        inside = np.flatnonzero(groups_n == name)
        rows = pack(lengths_n[inside], row_tokens=row_tokens, seed=seed)
        members.append(inside[rows.members_n])
        sizes.append(np.diff(rows.starts))
    return Rows(np.concatenate(members), _starts(np.concatenate(sizes)))


def _best_fit(
    lengths_n: NDArray[np.int64], order_n: NDArray[np.int64], *, row_tokens: int
) -> tuple[NDArray[np.int64], int]:
    """Return the row of each document, and the number of rows."""
    open_rows: dict[int, list[int]] = {}  # free tokens -> numbers of rows
    free_sizes: list[int] = []  # the keys of open_rows, sorted
    row_of_n = np.empty(len(lengths_n), dtype=np.int64)
    count = 0
    for begin in range(0, len(order_n), _CHUNK):
        chunk = order_n[begin : begin + _CHUNK]
        chosen = []
        for length in lengths_n[chunk].tolist():
            at = bisect.bisect_left(free_sizes, length)
            if at == len(free_sizes):
                row, free, count = count, row_tokens, count + 1
            else:
                free = free_sizes[at]
                row = open_rows[free].pop()
                if not open_rows[free]:
                    del open_rows[free], free_sizes[at]
            chosen.append(row)
            if left := free - length:  # a full row takes nothing more
                if left not in open_rows:
                    bisect.insort(free_sizes, left)
                open_rows.setdefault(left, []).append(row)
        row_of_n[chunk] = chosen
    return row_of_n, count


def _shuffled(count: int, *, seed: int, what: str) -> NDArray[np.int64]:
    """Return 0..count-1 in an order by hash: the same with every library version."""
    keys = np.empty((count, 2), dtype=np.uint64)
    for begin in range(0, count, _CHUNK):
        end = min(begin + _CHUNK, count)
        names = (f"{seed}/{what}/{index}".encode() for index in range(begin, end))
        digests = b"".join(hashlib.blake2b(name, digest_size=16).digest() for name in names)
        keys[begin:end] = np.frombuffer(digests, dtype=">u8").reshape(-1, 2)
    return np.lexsort((keys[:, 1], keys[:, 0]))


def _inverse(order: NDArray[np.int64]) -> NDArray[np.int64]:
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return places


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
