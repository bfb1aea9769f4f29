"""Near duplicates: found by MinHash, decided by comparing the texts, one of them is kept.

A document has one text, or two (source and answer). Two documents on one side of the split that
are trained the same way are near duplicates if each text of one is near that of the other: pairs
with one source and two translations stay. Across the split one text is enough: what is near a
text of test leaves validation and train, and what is near one of validation leaves train, in
whichever phase of the recipe it is held out. Of near duplicates the one that comes first is kept:
test before validation before train, then by the order of cards in the recipe and of texts in
their files. U texts ("units") of all documents.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.prepare.ledger import SAMPLE_CHARACTERS, SAMPLES, Ledger
from finetune.prepare.overlap.minhash import Signatures
from finetune.prepare.overlap.shingles import comparable, gram_hashes
from finetune.prepare.reading.split import SPLITS
from finetune.prepare.reading.spool import Spool
from finetune.spec.overlap import Duplicates

TEXT_BYTES = 60
"""Memory a text while a band is looked through; nothing of it stays."""
MAX_COMPARED = 32
"""A text is compared with at most so many others that share a band with it, so that one band of
a large corpus of forms does not take a day."""
_CACHE_GRAMS = 2**20
_MAX_APART = 2**16
TEST, TRAIN = SPLITS.index("test"), SPLITS.index("train")


@dataclass(frozen=True, slots=True)
class _Text:
    """A text as it is compared."""

    text: str
    grams: NDArray[np.uint64]
    """The hashes of its n-grams, sorted, each once."""


@dataclass(slots=True)
class NearDuplicates:
    """Compares texts of a spool, and what it found."""

    spool: Spool
    signatures: Signatures
    settings: Duplicates
    ledger: Ledger
    documents_U: NDArray[np.int64] = field(init=False)
    """The document of each text."""
    forms: list[int] = field(init=False)
    """For each kind of the spool a number of its phase and way of training."""
    compared: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    samples: list[dict[str, Any]] = field(default_factory=list)
    _cache: OrderedDict[int, _Text] = field(default_factory=OrderedDict)
    _cached_grams: int = 0
    _apart: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        counts = self.spool.text_counts()
        self.documents_U = np.repeat(np.arange(len(counts)), counts)
        names = [(kind.phase, kind.form) for kind in self.spool.kinds]
        self.forms = [names.index(name) for name in names]

    def drop(self) -> None:
        """Leave near duplicates out of the spool, each counted under its reason."""
        self.signatures.flush()
        order_U = self._first_come()
        for band in range(self.signatures.bands.bands):
            for units in _buckets(self.signatures.band(band), order_U):
                self._look_through(units)

    def _first_come(self) -> NDArray[np.int64]:
        """Return the texts that are still there; what is kept rather than others comes first."""
        left_U = np.flatnonzero(self.spool.standing()[self.documents_U])
        splits_U = self.spool.split_numbers()[self.documents_U[left_U]]
        order = np.argsort(TEST - splits_U.astype(np.int8), kind="stable")
        return np.asarray(left_U[order], dtype=np.int64)

    def _look_through(self, units: list[int]) -> None:
        """Compare texts that share a band, in the order in which they are kept."""
        held: list[int] = []
        alike: dict[tuple[int, int, int], list[int]] = {}
        for unit in units:
            document = int(self.documents_U[unit])
            if self.spool.is_gone(document):
                continue
            split = self.spool.split_number(document)
            form = self.forms[self.spool.kind_number(document)]
            others = alike.setdefault((split, form, self._role(unit)), [])
            if any(self._bars(other, unit) for other in held[:MAX_COMPARED]):
                continue
            if any(self._doubles(other, unit) for other in others[:MAX_COMPARED]):
                continue
            others.append(unit)
            if split != TRAIN:
                held.append(unit)

    def _role(self, unit: int) -> int:
        """Return which of its document's texts this is: 0 or 1."""
        return int(unit > 0 and self.documents_U[unit] == self.documents_U[unit - 1])

    def _bars(self, held: int, unit: int) -> bool:
        """Drop a text's document if it is near a text that is held out before it."""
        one, other = int(self.documents_U[held]), int(self.documents_U[unit])
        before = self.spool.split_number(one) > self.spool.split_number(other)
        if not before or self.spool.is_gone(one):
            return False
        return self._drop_if(self._near(held, unit), held, unit, reason="near-evaluation")

    def _doubles(self, kept: int, unit: int) -> bool:
        """Drop a text's document if all its texts are near those of one that came before."""
        one, other = int(self.documents_U[kept]), int(self.documents_U[unit])
        if one == other or self.spool.is_gone(one):
            return False
        near = self._near(kept, unit)
        if near is not None and (self._is_pair(kept) or self._is_pair(unit)):
            both = self._is_pair(kept) and self._is_pair(unit)
            rest = self._near(self._partner(kept), self._partner(unit)) if both else None
            near = None if rest is None else min(near, rest)
        return self._drop_if(near, kept, unit, reason="near-duplicate")

    def _is_pair(self, unit: int) -> bool:
        return self.spool.text_count(int(self.documents_U[unit])) > 1

    def _partner(self, unit: int) -> int:
        return unit - 1 if self._role(unit) else unit + 1

    def _drop_if(self, near: float | None, kept: int, unit: int, *, reason: str) -> bool:
        if near is None:
            return False
        number = int(self.documents_U[unit])
        self.spool.drop(number)
        if not self.spool.is_own(number):
            return True
        document = self.spool.read(number)
        self.ledger.drop(document, reason=reason)
        self.dropped[reason] += 1
        if self.dropped[reason] <= SAMPLES:
            other = self.spool.read(int(self.documents_U[kept]))
            self.samples.append(
                {
                    "reason": reason,
                    "similarity": round(near, 3),
                    "left_out": _shown(document.where, document.card, self._raw(unit)),
                    "kept": _shown(other.where, other.card, self._raw(kept)),
                }
            )
        return True

    def _near(self, one: int, other: int) -> float | None:
        """Return the similarity of two texts if they are near each other."""
        if (one, other) in self._apart:
            return None
        self.compared += 1
        first, second = self._text(one), self._text(other)
        if first.text == second.text:
            return 1.0
        long_enough = min(len(first.text), len(second.text)) >= self.settings.min_characters
        if long_enough:
            shared = len(np.intersect1d(first.grams, second.grams, assume_unique=True))
            similarity = shared / (len(first.grams) + len(second.grams) - shared)
            if similarity >= self.settings.threshold:
                return similarity
        if len(self._apart) >= _MAX_APART:
            self._apart.clear()
        self._apart.add((one, other))
        return None

    def _raw(self, unit: int) -> str:
        return self.spool.read(int(self.documents_U[unit])).texts[self._role(unit)]

    def _text(self, unit: int) -> _Text:
        if unit in self._cache:
            self._cache.move_to_end(unit)
            return self._cache[unit]
        texts = comparable([self._raw(unit)])
        made = _Text(texts[0], np.unique(gram_hashes(texts)[0]))
        self._cache[unit] = made
        self._cached_grams += len(made.grams)
        while self._cached_grams > _CACHE_GRAMS and len(self._cache) > 2:
            _, oldest = self._cache.popitem(last=False)
            self._cached_grams -= len(oldest.grams)
        return made

    def facts(self) -> dict[str, Any]:
        """Return what the report says about near duplicates."""
        bands = self.signatures.bands
        return {
            "near": self.settings.near,
            "min_characters": self.settings.min_characters,
            "bands": bands.bands,
            "rows": bands.rows,
            "found_at_threshold": round(bands.chance(self.settings.threshold), 4),
            "compared": self.compared,
            "left_out": dict(sorted(self.dropped.items())),
            "samples": self.samples,
        }


def _buckets(hashes_U: NDArray[np.uint64], order_U: NDArray[np.int64]) -> Iterator[list[int]]:
    """Yield the texts that share a hash with another, in the given order."""
    values = hashes_U[order_U]
    by_value = np.argsort(values, kind="stable")
    values = values[by_value]
    same = np.concatenate([[False], values[1:] == values[:-1], [False]])
    starts = np.flatnonzero(~same[:-1] & same[1:])
    ends = np.flatnonzero(same[:-1] & ~same[1:]) + 1
    for start, end in zip(starts, ends, strict=True):
        yield order_U[by_value[start:end]].tolist()


def _shown(where: str, card: str, text: str) -> dict[str, str]:
    return {"card": card, "where": where, "text": text[:SAMPLE_CHARACTERS]}
