"""The trigram ranks of pyfranc (Cavnar and Trenkle 1994), scored with matrices.

pyfranc compares a line with one language after another, and searches it once per script; the sums
are the same here, for all languages at once. Its models are read from the installed package.

    t  trigrams of a script        n  trigrams of a line        l  languages
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from pyfranc import franc
from pyfranc.expressions import expressions

MOST_CHARACTERS = 2048
"""pyfranc reads no more of a text."""
_SIGNS = re.compile("[\u0021-\u0040]+")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SCRIPTS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(pattern) for name, pattern in expressions.items()
}
_FIRST: str = next(iter(_SCRIPTS))


@dataclass(frozen=True, slots=True)
class _Group:
    """Models of a script, for some of its languages."""

    labels: tuple[str, ...]
    row_of: Mapping[str, int]
    """Trigram -> its row."""
    ranks_tl: Any
    """Rank of a trigram in a language, uint16; MAX_DIFFERENCE where it has none."""


def make_scorer(
    labels: Mapping[str, Mapping[str, str]], *, scale: float
) -> Callable[[str], dict[str, float]]:
    """Return how to score a line: label -> score.

    A score is the similarity of `franc.lang_detect` with a whitelist, times `scale` and the root of
    the line's length. `labels`: of each group of pyfranc's models (`Latin`), its codes and their
    labels.
    """
    groups = {name: _group(name, codes) for name, codes in labels.items()}

    def score(line: str) -> dict[str, float]:
        text = line[:MOST_CHARACTERS]
        if _SURROGATES.search(text):  # pyfranc takes two of them for a letter
            return {}
        group = groups.get(_script(text))
        if not text or group is None or not group.labels:
            return {}
        scores_l = _similarities(text, group) * (scale * math.sqrt(len(line)))
        return dict(zip(group.labels, scores_l.tolist(), strict=True))

    return score


def _models() -> Mapping[str, Mapping[str, Mapping[str, int]]]:
    return franc.numericData  # type: ignore[no-any-return]


def _group(name: str, labels: Mapping[str, str]) -> _Group:
    models = {labels[code]: model for code, model in _models()[name].items() if code in labels}
    row_of: dict[str, int] = {}
    for model in models.values():
        for trigram in model:
            row_of.setdefault(trigram, len(row_of))
    ranks_tl = np.full((len(row_of), len(models)), franc.MAX_DIFFERENCE, dtype=np.uint16)
    for column, model in enumerate(models.values()):
        rows = np.fromiter((row_of[trigram] for trigram in model), dtype=np.int64)
        ranks_tl[rows, column] = np.fromiter(model.values(), dtype=np.uint16)
    return _Group(tuple(models), row_of, ranks_tl)


def _similarities(text: str, group: _Group) -> Any:
    words = f" {' '.join(_SIGNS.sub(' ', text).lower().split())} "
    counts = Counter([words[at : at + 3] for at in range(len(words) - 2)])
    rows = map(group.row_of.get, counts)
    known = [pair for pair in zip(rows, counts.values(), strict=True) if pair[0] is not None]
    # of a trigram that occurs once, |1 - rank - 1| is the rank
    once = [row for row, count in known if count == 1]
    sums_l = _sum(group.ranks_tl.take(once, axis=0))
    sums_l += (len(counts) - len(known)) * franc.MAX_DIFFERENCE
    if len(once) < len(known):
        often = [(row, count) for row, count in known if count > 1]
        ranks_nl = group.ranks_tl.take([row for row, _ in often], axis=0).astype(np.int32)
        apart_nl = np.abs(np.array([count - 1 for _, count in often])[:, None] - ranks_nl)
        sums_l += np.where(ranks_nl == franc.MAX_DIFFERENCE, ranks_nl, apart_nl).sum(axis=0)
    least = int(sums_l.min())
    span = len(text) * franc.MAX_DIFFERENCE - least
    return 1 - (sums_l - least) / span if span else np.zeros(len(sums_l))


def _sum(ranks_nl: Any) -> Any:
    """Return the sums of ranks by language, added in two bytes where these cannot overflow."""
    narrow = len(ranks_nl) * franc.MAX_DIFFERENCE <= np.iinfo(np.uint16).max
    return np.add.reduce(ranks_nl, axis=0, dtype=np.uint16 if narrow else np.int64).astype(np.int64)


def _script(text: str) -> str:
    """Return the script of most characters; of equal ones, the first of pyfranc's list."""
    there = {script for character in set(text) for script in _scripts_of(character)}
    if len(there) == 1:
        return there.pop()
    found: dict[str, int] = {}
    for character, count in Counter(text).items():
        for script in _scripts_of(character):
            found[script] = found.get(script, 0) + count
    if not found:
        return _FIRST
    most = max(found.values())
    return next(script for script in _SCRIPTS if found.get(script) == most)


@lru_cache(maxsize=8192)
def _scripts_of(character: str) -> tuple[str, ...]:
    return tuple(name for name, pattern in _SCRIPTS.items() if pattern.match(character))
