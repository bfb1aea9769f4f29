"""Documents into rows of fixed length: best-fit decreasing.

T is the length of a row in tokens. Short ragged documents fill 99 % and more of the rows this
way, where padding each one to T would waste most of the work.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Hashable, Sequence


def pack(lengths: Sequence[int], *, row_tokens: int, seed: int) -> list[list[int]]:
    """Return rows of indices into `lengths`; no row is longer than `row_tokens`.

    Every index stands in exactly one row. The same arguments give the same rows on every machine.
    Equal lengths are taken in an order that the seed decides, and so is the order of rows and of
    documents in a row. Raises ValueError if a length does not fit or is not positive.

    >>> sorted(sorted(row) for row in pack([3, 5, 2], row_tokens=5, seed=0))
    [[0, 2], [1]]
    """
    for index, length in enumerate(lengths):
        if not 0 < length <= row_tokens:
            raise ValueError(f"document {index}: {length} tokens do not fit a row of {row_tokens}")
    shuffled = _shuffled(len(lengths), seed=seed, what="document")
    open_rows: dict[int, list[int]] = {}  # free tokens -> numbers of rows
    free_sizes: list[int] = []  # the keys of open_rows, sorted
    rows: list[list[int]] = []
    for index in sorted(shuffled, key=lambda i: -lengths[i]):
        at = bisect.bisect_left(free_sizes, lengths[index])
        if at == len(free_sizes):
            row, free = len(rows), row_tokens
            rows.append([])
        else:
            free = free_sizes[at]
            row = open_rows[free].pop()
            if not open_rows[free]:
                del open_rows[free], free_sizes[at]
        rows[row].append(index)
        left = free - lengths[index]
        if left not in open_rows:
            bisect.insort(free_sizes, left)
        open_rows.setdefault(left, []).append(row)
    rank = {index: place for place, index in enumerate(shuffled)}
    order = _shuffled(len(rows), seed=seed, what="row")
    return [sorted(rows[number], key=rank.__getitem__) for number in order]


def pack_groups(
    lengths: Sequence[int], groups: Sequence[Hashable], *, row_tokens: int, seed: int
) -> list[list[int]]:
    """Return rows as `pack` does, each of one group, so that groups can be drawn by shares.

    `groups`: what each index belongs to. Rows of a group stand together.

    >>> pack_groups([2, 2, 2], ["a", "b", "a"], row_tokens=6, seed=0)
    [[0, 2], [1]]
    """
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    return [
        [inside[place] for place in row]
        for inside in members.values()
        for row in pack([lengths[i] for i in inside], row_tokens=row_tokens, seed=seed)
    ]


def _shuffled(count: int, *, seed: int, what: str) -> list[int]:
    """Return 0..count-1 in an order by hash: the same with every library version."""

    def key(index: int) -> bytes:
        return hashlib.blake2b(f"{seed}/{what}/{index}".encode(), digest_size=16).digest()

    return sorted(range(count), key=key)
