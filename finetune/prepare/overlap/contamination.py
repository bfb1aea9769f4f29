"""Contamination: removal of texts that overlap an evaluation set, in any language.

A training text is contaminated if it holds a stated share of the character 16-grams of one text of
a set. So a sentence inside a document is found, one with a word changed, and half of one. Texts of
fewer than 13 n-grams (28 characters) meet by chance: they count only as a whole.
G n-grams of all sets, E entries (an n-gram of a text), T texts of all sets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.prepare.overlap.fingerprints import (
    Fingerprint,
    fingerprint_of,
    grams_of,
    read_fingerprint,
    texts_of_file,
)
from finetune.prepare.reading.document import Document
from finetune.prepare.step import Met, Result
from finetune.sources.checksums import checksum
from finetune.spec.sections.overlap import EvaluationSet

MIN_GRAMS = 13
"""Fewer n-grams than this are met only by a whole text."""


@dataclass(frozen=True, slots=True)
class Contamination:
    """The n-grams of all evaluation sets."""

    sets: Sequence[EvaluationSet]
    grams_E: NDArray[np.uint64]
    """Sorted."""
    texts_E: NDArray[np.uint32]
    """The text of each entry."""
    counts_T: NDArray[np.int64]
    set_T: NDArray[np.int64]

    def __call__(self, document: Document) -> Result:
        """Reject a document that contains a text of a set."""
        for text in document.texts:
            for grams in grams_of([text]):
                hit = self._hit(grams)
                if hit is not None:
                    number, share = hit
                    name = self.sets[int(self.set_T[number])].name
                    return Result(document, "contaminated", (Met(name, number, text, share),))
        return Result(document)

    def _hit(self, grams: NDArray[np.uint64]) -> tuple[int, float] | None:
        """Return the text of a set of which most is held, and how much of it; None if too little.

        `grams` are the different n-grams of one training text.
        """
        first = np.searchsorted(self.grams_E, grams, side="left")
        last = np.searchsorted(self.grams_E, grams, side="right")
        there = np.flatnonzero(last > first)
        if not len(there):
            return None
        entries = np.concatenate([np.arange(first[g], last[g]) for g in there])
        texts, shared = np.unique(self.texts_E[entries], return_counts=True)
        shares = shared / self.counts_T[texts]
        limits = np.array([self.sets[s].overlap for s in self.set_T[texts]])
        short = self.counts_T[texts] < MIN_GRAMS
        whole = (shares == 1.0) & (self.counts_T[texts] == len(grams))
        hits = np.flatnonzero(np.where(short, whole, shares >= limits))
        if not len(hits):
            return None
        best = hits[np.argmax(shares[hits])]
        return int(texts[best]), float(shares[best])

    def facts(self) -> list[dict[str, Any]]:
        """Return the name of each set, its files, and how many texts it has."""
        sizes: Counter[str] = Counter()
        for place, one in enumerate(self.sets):
            sizes[one.name] += int((self.set_T == place).sum())
        return [
            {
                "name": name,
                "files": [
                    {"sha256": one.sha256, "overlap": one.overlap}
                    for one in self.sets
                    if one.name == name
                ],
                "texts": size,
            }
            for name, size in sizes.items()
        ]


def load_sets(sets: Sequence[EvaluationSet]) -> Contamination | None:
    """Return the n-grams of all sets; None if the recipe names none.

    Raises DataError for a file that is missing, has another checksum, or holds no text.
    """
    if not sets:
        return None
    prints = [_print_of(one) for one in sets]
    counts_T = np.concatenate([p.counts_N for p in prints]).astype(np.int64)
    grams_E = np.concatenate([p.grams_G for p in prints])
    texts_E = np.repeat(np.arange(len(counts_T), dtype=np.uint32), counts_T)
    order = np.argsort(grams_E, kind="stable")
    set_T = np.repeat(np.arange(len(prints)), [p.texts for p in prints])
    return Contamination(sets, grams_E[order], texts_E[order], counts_T, set_T)


def _print_of(one: EvaluationSet) -> Fingerprint:
    path, at = Path(one.path).expanduser(), Place(one.path)
    try:
        actual = checksum(path)
    except OSError as error:
        raise DataError(
            problem("cannot-be-read", "cannot be read: {why}", at=at, why=error.strerror)
        ) from None
    if actual != one.sha256:
        raise DataError(
            problem(
                "other-checksum",
                "sha256 is {actual}, and the recipe has {expected}; get the file again, or write "
                "its checksum into the recipe",
                at=at,
                actual=actual,
                expected=one.sha256,
            )
        )
    if one.kind == "fingerprint":
        found = read_fingerprint(path)
    else:
        found = fingerprint_of(texts_of_file(path, columns=one.columns))
    if not found.texts:
        raise DataError(
            problem("empty-evaluation-set", "contains no text; correct the file or columns", at=at)
        )
    return found
