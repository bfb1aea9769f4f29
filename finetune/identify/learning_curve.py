"""Cross-validated accuracy for a language by number of training lines.

The classifier is that of finetune.identify.ngrams. Lines are dealt to folds in the order of their
hashes, so that the same texts give the same numbers anywhere.

    b  n-grams of a line        k  buckets        c  languages
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finetune.identify.ngrams import BUCKETS, SMOOTHING, UNIT, Accuracy, ngrams

SIZES = (10, 50, 100, 500, 1000)
"""Training lines of each language."""
FOLDS = 4
MOST_LINES = 1340
"""Lines of a language that are used; three folds of four hold the largest size."""
MOST_HELD_OUT = 50
"""Lines of a fold that are judged."""
LEAST_LINES = 20
"""A language with fewer lines is not measured."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Held-out accuracy by number of training lines."""

    accuracy: Mapping[int, Accuracy]
    confusions: tuple[tuple[str, int], ...]
    """The two languages that it is most often taken for, after the most lines."""


def learning_curve(texts: Mapping[str, Sequence[str]], *, language: str) -> Curve | None:
    """Return the held-out accuracy for a language among the others.

    None with too few lines, or without another language.
    """
    dealt = {one: _dealt(lines) for one, lines in sorted(texts.items())}
    dealt = {one: lines for one, lines in dealt.items() if len(lines) >= LEAST_LINES}
    if language not in dealt or len(dealt) < 2:
        return None
    grams = {one: [ngrams(line) for line in lines] for one, lines in dealt.items()}
    most = len(dealt[language]) - -(-len(dealt[language]) // FOLDS)
    accuracy: dict[int, Accuracy] = {}
    taken: Counter[str] = Counter()
    for size in (size for size in SIZES if size <= most):
        taken = Counter()
        for fold in range(FOLDS):
            taken += _taken(grams, language=language, fold=fold, size=size)
        accuracy[size] = Accuracy(taken[language], taken.total())
    del taken[language]
    nearest = sorted(taken.items(), key=lambda item: (-item[1], item[0]))
    return Curve(accuracy, tuple(nearest[:2])) if accuracy else None


def _dealt(lines: Sequence[str]) -> list[str]:
    """Return the lines, each once, in the order of their hashes."""

    def order(line: str) -> bytes:
        return hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=8).digest()

    return sorted(dict.fromkeys(lines), key=order)[:MOST_LINES]


def _taken(
    grams: Mapping[str, Sequence[Any]], *, language: str, fold: int, size: int
) -> Counter[str]:
    """Return the languages that the lines of a fold are taken for, after `size` other lines."""
    tables = []
    for lines in grams.values():
        others = [grams_b for at, grams_b in enumerate(lines) if at % FOLDS != fold]
        counts_k = np.bincount(np.concatenate(others[:size]), minlength=BUCKETS)
        logs_k = np.log((counts_k + SMOOTHING) / (counts_k.sum() + SMOOTHING * BUCKETS))
        tables.append(np.rint(logs_k * UNIT).astype(np.int64))
    table_kc = np.stack(tables, axis=1)
    names = tuple(grams)
    judged = grams[language][fold::FOLDS][:MOST_HELD_OUT]
    return Counter(names[int(table_kc[grams_b].sum(axis=0).argmax())] for grams_b in judged)
