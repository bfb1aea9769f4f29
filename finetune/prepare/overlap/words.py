"""Counts of words over the texts of a corpus, in fixed memory.

A count-min sketch (Cormode and Muthukrishnan 2005) of two rows. A count is of texts, and texts that
are equal and follow each other without another one with that word count once. T texts, W words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ROWS, SLOT_BITS = 2, 21
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(int(_FACTOR), -1, 2**64))
_SPACE = ord(" ")


class WordCounts:
    """Owns 21 MB of counters; a count may be too high, by chance, and is never too low."""

    def __init__(self) -> None:
        self._counts = np.zeros((ROWS, 2**SLOT_BITS), dtype=np.uint8)
        self._last = np.zeros((ROWS, 2**SLOT_BITS), dtype=np.uint32)

    def add(self, texts: Sequence[str]) -> None:
        """Count the words of comparable texts (finetune.prepare.overlap.shingles)."""
        whole = " ".join(texts)
        codes = np.frombuffer(whole.encode("utf-32-le"), dtype="<u4")
        words_W, starts_W = _hashes(codes)
        if not len(words_W):
            return
        lengths = np.array([len(text) + 1 for text in texts])
        texts_W = np.searchsorted(np.cumsum(lengths), starts_W, side="right")
        sums = np.zeros(len(texts), dtype=np.uint64)
        np.add.at(sums, texts_W, words_W)
        marks_W = (sums >> np.uint64(32))[texts_W]
        for row in range(ROWS):
            pairs = np.unique(_slots(words_W, row) << np.uint64(32) | marks_W)
            slots, last = pairs >> np.uint64(32), (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32)
            fresh = (last != self._last[row, slots]).astype(np.int64)
            each, first = np.unique(slots, return_index=True)
            sums_new = np.add.reduceat(fresh, first) + self._counts[row, each]
            self._counts[row, each] = np.minimum(sums_new, 255)
            self._last[row, each] = last[np.append(first[1:], len(slots)) - 1]

    def __getitem__(self, word: str) -> int:
        """Return in how many texts a word was, up to 255.

        >>> counts = WordCounts()
        >>> counts.add(["ina kwana", "ina wuni", "kwana"])
        >>> counts["ina"], counts["kwana"], counts["wuni"], counts["wun"]
        (2, 2, 1, 0)
        """
        codes = np.frombuffer(word.encode("utf-32-le"), dtype="<u4")
        words_W, _ = _hashes(codes)
        return min(int(self._counts[row, _slots(words_W, row)[0]]) for row in range(ROWS))


def _hashes(codes: NDArray[np.uint32]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return a hash of each word between spaces, and where it begins."""
    space = np.concatenate([[True], codes == _SPACE, [True]])
    starts = np.flatnonzero(space[:-1] & ~space[1:])
    ends = np.flatnonzero(~space[:-1] & space[1:])
    powers = np.cumprod(np.full(len(codes) + 1, _FACTOR, dtype=np.uint64))
    inverses = np.cumprod(np.full(len(codes), _INVERSE, dtype=np.uint64))
    sums = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum(codes.astype(np.uint64) * inverses, out=sums[1:])
    # each letter times a power of its place in the word
    hashes = (sums[ends] - sums[starts]) * powers[ends]
    hashes = (hashes ^ (hashes >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return np.asarray(hashes ^ (hashes >> np.uint64(32)), np.uint64), starts.astype(np.int64)


def _slots(hashes: NDArray[np.uint64], row: int) -> NDArray[np.uint64]:
    return (hashes >> np.uint64(SLOT_BITS * row)) & np.uint64(2**SLOT_BITS - 1)
