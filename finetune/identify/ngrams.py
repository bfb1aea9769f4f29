"""A small classifier for languages that no model covers, trained on the cards' texts.

Multinomial naive Bayes on hashed character n-grams of 1 to 5 (as Cavnar and Trenkle 1994 and Lui
and Baldwin 2012 use them). Texts are split into two halves by their hash, and each half is judged
by a classifier trained on the other: so a stray line does not confirm itself, and the stated
accuracy is held-out. Counts and scores are integers, the same on any machine.

    b  n-grams of a line        k  buckets        c  languages
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LONGEST = 5
BUCKETS = 1 << 17
SMOOTHING = 0.1
"""Added to every count (Lidstone)."""
UNIT = 1024
"""Log-probabilities are kept as whole numbers of 1/1024 nat."""
FOLDS = 2
SCALES = (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
LEAST_CHARACTERS = 2000
"""A language with less text than this in a half is not learned."""
SCORED_LINES = 1000
"""Held-out lines of each language that the stated accuracy is measured on, at most."""
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Held-out accuracy, with a 95 % interval (Wilson 1927)."""

    right: int
    of: int

    @property
    def share(self) -> float:
        """Accuracy."""
        return self.right / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound of the share, which rounding never puts outside."""
        if not self.of:
            return (0.0, 1.0)
        z, n, p = 1.959964, self.of, self.share
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return (max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)))


@dataclass(frozen=True, slots=True)
class Classifier:
    """Trained counts, by half of the texts."""

    languages: tuple[str, ...]
    tables_kc: tuple[Any, ...]
    """Log-probabilities of each half in 1/1024 nat, int16 [k, c]."""
    scale: float
    accuracy: Mapping[str, Accuracy]

    def scores(self, line: str) -> dict[str, float]:
        """Return language -> log-likelihood of a line, up to a constant."""
        return self._scores(line, fold=1 - fold_of(line), scale=self.scale)

    def _scores(self, line: str, *, fold: int, scale: float) -> dict[str, float]:
        grams_b = ngrams(line)
        sums_c = self.tables_kc[fold][grams_b].sum(axis=0, dtype=np.int64)
        weight = scale / (UNIT * math.sqrt(len(grams_b) or 1))
        return {
            language: weight * total
            for language, total in zip(self.languages, sums_c.tolist(), strict=True)
        }


def fold_of(line: str) -> int:
    """Return which half a line belongs to: the same lines are always together."""
    return hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=1).digest()[0] % FOLDS


def ngrams(line: str) -> Any:
    """Return the buckets of all n-grams of a line, case ignored, int64 [b]."""
    text = f" {' '.join(line.lower().split())} "
    data = text.encode("utf-32-le", "surrogatepass")
    points = np.frombuffer(data, dtype="<u4").astype(np.uint64)
    found, sums = [], np.zeros(len(points), dtype=np.uint64)
    for length in range(1, min(LONGEST, len(points)) + 1):
        # a polynomial in the code points; overflow wraps, as is meant
        sums = sums[: len(points) - length + 1] * _STEP + points[length - 1 :] + np.uint64(1)
        mixed = (sums ^ (sums >> np.uint64(29))) * _STEP
        found.append((mixed >> np.uint64(47)).astype(np.int64))
    return np.concatenate(found)


def learn(texts: Mapping[str, Sequence[str]]) -> Classifier | None:
    """Learn from lines of each language; None if fewer than two languages have enough text."""
    dealt = {
        language: [[line for line in lines if fold_of(line) == fold] for fold in range(FOLDS)]
        for language, lines in sorted(texts.items())
    }
    languages = tuple(
        language
        for language, halves in dealt.items()
        if all(sum(map(len, half)) >= LEAST_CHARACTERS for half in halves)
    )
    if len(languages) < 2:
        return None
    tables_kc = tuple(
        np.stack([_log_probabilities(dealt[one][fold]) for one in languages], axis=1)
        for fold in range(FOLDS)
    )
    fresh = Classifier(languages, tables_kc, 1.0, {})
    held_out = {
        language: [line for half in dealt[language] for line in half[: SCORED_LINES // FOLDS]]
        for language in languages
    }
    scored = {
        language: [fresh.scores(line) for line in lines] for language, lines in held_out.items()
    }
    accuracy = {
        language: Accuracy(sum(max(s, key=s.__getitem__) == language for s in all_), len(all_))
        for language, all_ in scored.items()
    }
    return Classifier(languages, tables_kc, _best_scale(scored), accuracy)


def _log_probabilities(lines: Sequence[str]) -> Any:
    counts_k = np.zeros(BUCKETS, dtype=np.int64)
    for line in lines:
        counts_k += np.bincount(ngrams(line), minlength=BUCKETS)
    logs_k = np.log((counts_k + SMOOTHING) / (counts_k.sum() + SMOOTHING * BUCKETS))
    return np.rint(logs_k * UNIT).astype(np.int16)


def _best_scale(scored: Mapping[str, Sequence[Mapping[str, float]]]) -> float:
    """Return the scale with the smallest mean log-loss on held-out text."""

    def loss(scale: float) -> float:
        total = 0.0
        for language, all_ in scored.items():
            for scores in all_:
                best = max(scores.values())
                rest = sum(math.exp(scale * (value - best)) for value in scores.values())
                total += math.log(rest) - scale * (scores[language] - best)
        return total

    return min(SCALES, key=loss)
