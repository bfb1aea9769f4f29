"""Candidates of near duplicates: MinHash signatures in bands (Broder 1997; LSH: Indyk 1998).

Two texts share all rows of a band with probability J**rows, where J is the Jaccard similarity of
their n-grams. Written with numpy, because the values must be the same on every machine and in
every version; a library's are its own business. D texts, K hash functions, B bands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from finetune.prepare.overlap.shingles import comparable, gram_hashes
from finetune.prepare.overlap.words import WordCounts

HASHES = 128
RECALL = 0.985
"""Share of pairs at the threshold that are found; more of those above it."""
BATCH_CHARACTERS = 2**17


@dataclass(frozen=True, slots=True)
class Bands:
    """Banding of a MinHash signature."""

    bands: int
    rows: int

    def chance(self, similarity: float) -> float:
        """Return the probability that two texts of a similarity are compared."""
        return 1 - (1 - similarity**self.rows) ** self.bands


def bands_for(threshold: float) -> Bands:
    """Return the bands that find RECALL of the pairs at a threshold with the fewest comparisons.

    >>> bands_for(0.8), round(bands_for(0.8).chance(0.8), 3), round(bands_for(0.8).chance(0.4), 3)
    (Bands(bands=18, rows=7), 0.986, 0.029)
    """
    choices = (Bands(HASHES // rows, rows) for rows in range(HASHES, 0, -1))
    return next(c for c in choices if c.rows == 1 or c.chance(threshold) >= RECALL)


class Signatures:
    """Owns files of band hashes, one per band, 8 bytes per text; texts are numbered in order."""

    def __init__(self, folder: Path, bands: Bands) -> None:
        self.bands = bands
        self._folder = folder
        self._closing = ExitStack()
        folder.mkdir()
        self._files = [
            self._closing.enter_context(self._path(band).open("wb")) for band in range(bands.bands)
        ]
        numbers = _numbers(2 * bands.bands * bands.rows)
        self._factors_K, self._terms_K = numbers[::2] | np.uint32(1), numbers[1::2]
        self.words = WordCounts()  # of the same texts
        self._waiting: list[str] = []
        self._characters = 0

    def __enter__(self) -> Signatures:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.close()

    def add(self, text: str) -> None:
        """Add the next text. OSError if the disk is full."""
        self._waiting.append(text)
        self._characters += len(text)
        if self._characters >= BATCH_CHARACTERS:
            self._write()

    def flush(self) -> None:
        """Write out what is still in memory; needed once between the last `add` and `band`."""
        self._write()
        for file in self._files:
            file.flush()

    def band(self, number: int) -> NDArray[np.uint64]:
        """Return the hashes of a band, one a text: equal ones may be near duplicates."""
        return np.fromfile(self._path(number), dtype="<u8")

    def _path(self, band: int) -> Path:
        return self._folder / f"band-{band:02}"

    def _write(self) -> None:
        if not self._waiting:
            return
        texts = comparable(self._waiting)
        self.words.add(texts)
        signatures_KD = self._signatures(texts)
        rows = self.bands.rows
        for band, file in enumerate(self._files):
            part = signatures_KD[band * rows : (band + 1) * rows].astype(np.uint64)
            hashes_D = part[0]
            for row_D in part[1:]:
                hashes_D = (hashes_D * np.uint64(0x9E3779B97F4A7C15) ^ row_D) + (
                    hashes_D >> np.uint64(29)
                )
            file.write(hashes_D.astype("<u8").tobytes())
        self._waiting, self._characters = [], 0

    def _signatures(self, texts: Sequence[str]) -> NDArray[np.uint32]:
        hashes_G, starts = gram_hashes(texts)
        values_G = (hashes_G >> np.uint64(32)).astype(np.uint32)
        permuted_G = np.empty_like(values_G)
        signatures_KD = np.empty((len(self._factors_K), len(texts)), dtype=np.uint32)
        for k, (factor, term) in enumerate(zip(self._factors_K, self._terms_K, strict=True)):
            np.multiply(values_G, factor, out=permuted_G)
            np.add(permuted_G, term, out=permuted_G)
            np.minimum.reduceat(permuted_G, starts, out=signatures_KD[k])
        return signatures_KD


def _numbers(count: int) -> NDArray[np.uint32]:
    """Return random-looking numbers that never change."""
    data = b"".join(
        hashlib.blake2b(f"minhash {n}".encode(), digest_size=4).digest() for n in range(count)
    )
    return np.frombuffer(data, dtype="<u4").astype(np.uint32)
