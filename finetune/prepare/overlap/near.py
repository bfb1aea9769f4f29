"""Near duplicates: found by MinHash, decided by comparing the texts, one of them is kept.

A document has one text, or two (source and target). Two documents of one split that
are trained the same way are near duplicates if each text of one is near that of the other: pairs
with one source and two translations stay. Across splits one text is enough: what is near a
text of test leaves validation and train, and what is near one of validation leaves train, in
whichever phase of the recipe it is held out. Among training texts minimal pairs stay
(finetune.prepare.overlap.minimal_pairs); of a document with two texts one such difference is
enough. Of near duplicates the one that comes first is kept:
test before validation before train, then by the order of cards in the recipe and of texts in
their files. U texts ("units") of all documents.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.prepare.overlap.minhash import Signatures
from finetune.prepare.overlap.minimal_pairs import (
    KNOWN_TEXTS,
    front_of,
    is_minimal_pair,
    signs_differ,
)
from finetune.prepare.overlap.shingles import comparable, gram_hashes
from finetune.prepare.reading.document import SPLITS
from finetune.prepare.reading.spool import Spool
from finetune.prepare.step import Copy, Decision
from finetune.spec.sections.overlap import Duplicates

MAX_COMPARED = 32
"""A text is compared with at most so many others that share a band with it, so that one band of
a large corpus of forms does not take a day."""
SAMPLES = 8
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
    """Compares the texts of a spool."""

    spool: Spool
    signatures: Signatures
    settings: Duplicates
    documents_U: NDArray[np.int64] = field(init=False)
    """The document of each text."""
    forms: list[int] = field(init=False)
    """For each kind of the spool a number of its phase and way of training."""
    compared: int = 0
    _cache: OrderedDict[int, _Text] = field(default_factory=OrderedDict)
    _cached_grams: int = 0
    _minimal_pairs: dict[int, tuple[float, int, int]] = field(default_factory=dict)
    """Document -> similarity, and the texts of the first minimal pair for which it stays."""
    _apart: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        counts = self.spool.text_counts()
        self.documents_U = np.repeat(np.arange(len(counts)), counts)
        names = [(kind.phase, kind.form) for kind in self.spool.kinds]
        self.forms = [names.index(name) for name in names]

    def __iter__(self) -> Iterator[Decision]:
        """Yield the documents to be rejected.

        Each has to be dropped from the spool before the next is asked for: nothing is rejected for
        a text that is rejected itself.
        """
        self.signatures.flush()
        order_U = self._first_come()
        for band in range(self.signatures.bands.bands):
            for units in _buckets(self.signatures.band(band), order_U):
                yield from self._look_through(units)

    def _first_come(self) -> NDArray[np.int64]:
        """Return the texts that are still there; what is kept rather than others comes first."""
        left_U = np.flatnonzero(self.spool.standing()[self.documents_U])
        splits_U = self.spool.split_numbers()[self.documents_U[left_U]]
        order = np.argsort(TEST - splits_U.astype(np.int8), kind="stable")
        return np.asarray(left_U[order], dtype=np.int64)

    def _look_through(self, units: list[int]) -> Iterator[Decision]:
        """Compare texts that share a band, in the order in which they are kept."""
        held: list[int] = []
        alike: dict[tuple[int, int, int], list[int]] = {}
        for unit in units:
            document = int(self.documents_U[unit])
            if self.spool.is_rejected(document):
                continue
            split = self.spool.split_number(document)
            form = self.forms[self.spool.kind_number(document)]
            others = alike.setdefault((split, form, self._role(unit)), [])
            decision = self._decided(unit, held[:MAX_COMPARED], others[:MAX_COMPARED])
            if decision is not None:
                yield decision
                continue
            others.append(unit)
            if split != TRAIN:
                held.append(unit)

    def _decided(self, unit: int, held: list[int], others: list[int]) -> Decision | None:
        """Return why a text's document goes: for a text held out before it, or one like it."""
        for other in held:
            near = self._bars(other, unit)
            if near is not None:
                return self._decision("near-evaluation", near, kept=other, unit=unit)
        for other in others:
            near = self._doubles(other, unit)
            if near is not None:
                return self._decision("near-duplicate", near, kept=other, unit=unit)
        return None

    def _decision(self, reason: str, near: float, *, kept: int, unit: int) -> Decision:
        document = int(self.documents_U[kept])
        copy = Copy(near, self._role(unit), kept=document, kept_part=self._role(kept))
        return Decision(int(self.documents_U[unit]), reason, copy)

    def _role(self, unit: int) -> int:
        """Return which of its document's texts this is: 0 or 1."""
        return int(unit > 0 and self.documents_U[unit] == self.documents_U[unit - 1])

    def _bars(self, held: int, unit: int) -> float | None:
        """Return how near a text is to one that is held out before it, if near enough."""
        one, other = int(self.documents_U[held]), int(self.documents_U[unit])
        before = self.spool.split_number(one) > self.spool.split_number(other)
        if not before or self.spool.is_rejected(one):
            return None
        return self._near(held, unit)

    def _doubles(self, kept: int, unit: int) -> float | None:
        """Return how near all texts of a document are to those of one that came before."""
        one, other = int(self.documents_U[kept]), int(self.documents_U[unit])
        if one == other or self.spool.is_rejected(one):
            return None
        near = self._near(kept, unit)
        pairs = [(kept, unit)]
        if near is not None and (self._is_pair(kept) or self._is_pair(unit)):
            both = self._is_pair(kept) and self._is_pair(unit)
            rest = self._near(self._partner(kept), self._partner(unit)) if both else None
            near = None if rest is None else min(near, rest)
            pairs.append((self._partner(kept), self._partner(unit)))
        if near is None or not self._is_for_training(unit):
            return near
        minimal = next((pair for pair in pairs if self._is_minimal_pair(*pair)), None)
        if minimal is None:
            return near
        self._minimal_pairs.setdefault(other, (near, *minimal))
        self._apart.add((kept, unit))  # not to be compared again
        return None

    def _is_for_training(self, unit: int) -> bool:
        return self.spool.split_number(int(self.documents_U[unit])) == TRAIN

    def _is_minimal_pair(self, one: int, other: int) -> bool:
        """Return whether two short near texts differ in a word, number or sign that matters."""
        first, second = self._text(one), self._text(other)
        if max(len(first.text), len(second.text)) > self.settings.minimal_pair_characters:
            return False
        raw = self._raw(one), self._raw(other)
        if first.text == second.text:
            return signs_differ(*raw)
        front = front_of(*raw)
        return is_minimal_pair(first.text, second.text, known=self._is_known, front=front)

    def _is_known(self, word: str) -> bool:
        return self.signatures.words[word] >= KNOWN_TEXTS

    def _is_pair(self, unit: int) -> bool:
        return self.spool.text_count(int(self.documents_U[unit])) > 1

    def _partner(self, unit: int) -> int:
        return unit - 1 if self._role(unit) else unit + 1

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
        """Return how they were looked for, as plain data for report.json."""
        bands = self.signatures.bands
        return {
            "near": self.settings.near,
            "min_characters": self.settings.min_characters,
            "bands": bands.bands,
            "rows": bands.rows,
            "found_at_threshold": round(bands.chance(self.settings.threshold), 4),
            "compared": self.compared,
            **self._kept_minimal_pairs(),
        }

    def _kept_minimal_pairs(self) -> dict[str, Any]:
        """Return how many documents stay as one of a minimal pair, and the first such pairs."""
        left = self.spool.left()
        kept = [(n, pair) for n, pair in sorted(self._minimal_pairs.items()) if left[n]]
        samples = [
            {"similarity": round(near, 3), "one": self._sample(one), "other": self._sample(other)}
            for _, (near, one, other) in kept
            if left[self.documents_U[one]]
        ]
        return {"minimal_pairs": len(kept), "minimal_pair_samples": samples[:SAMPLES]}

    def _sample(self, unit: int) -> dict[str, str]:
        document = self.spool.read(int(self.documents_U[unit]))
        text = document.texts[self._role(unit)]
        return {"card": document.card, "where": document.where, "text": text}


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
