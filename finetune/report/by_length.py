"""Bits per byte by length of text: does a gain hold for long texts as for short ones?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.report.comparable import Comparable, kept_of
from finetune.spec.tables.metric import VALIDATION

EDGES = (0, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Bytes at which a class of lengths begins."""
LEAST_ITEMS = 5
"""Of a class; smaller ones are joined with the next shorter one."""


@dataclass(frozen=True, slots=True)
class LengthClass:
    """Texts of some length, and the bits per byte of each system."""

    first: int
    """Bytes."""
    last: int | None
    """Bytes; None: and longer."""
    n: int
    values: dict[str, float]
    """By `base`, a yardstick, or the label of a run."""


@dataclass(frozen=True, slots=True)
class ByLength:
    """One language: classes, shortest first."""

    language: str
    phase: str | None
    classes: tuple[LengthClass, ...]


def by_length(groups: Sequence[Comparable]) -> list[ByLength]:
    """Return the classes of each language whose items were kept, base of the first run."""
    found = []
    for group in groups:
        if group.test.metric == VALIDATION and not group.differs and not group.test.task:
            classes = _classes(group)
            if len(classes) > 1:
                found.append(ByLength(group.test.language, group.test.phase, tuple(classes)))
    return found


def _classes(group: Comparable) -> list[LengthClass]:
    systems_KN2: dict[str, NDArray[np.float64]] = {}
    for scored in group.scored:
        run = scored.run
        kept = kept_of(run, group.test)
        if kept is None:
            continue
        names, _, array_SNK = kept
        if not systems_KN2:
            systems_KN2 = {n: a for n, a in zip(names, array_SNK, strict=True) if n != "adapter"}
        systems_KN2[run.label] = array_SNK[names.index("adapter")]
    if not systems_KN2:
        return []
    bytes_N = next(iter(systems_KN2.values()))[:, 1]
    place_N = np.searchsorted(EDGES, bytes_N, side="right") - 1
    bounds = _joined(np.bincount(place_N, minlength=len(EDGES)).tolist())
    classes = []
    for first, after in bounds:
        mine_N = (place_N >= first) & (place_N < after)
        values = {
            name: float(array_N2[mine_N, 0].sum() / array_N2[mine_N, 1].sum())
            for name, array_N2 in systems_KN2.items()
            if np.isfinite(array_N2[mine_N]).all() and array_N2[mine_N, 1].sum()
        }
        last = EDGES[after] - 1 if after < len(EDGES) else None
        classes.append(LengthClass(EDGES[first], last, int(mine_N.sum()), values))
    return classes


def _joined(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Return classes as (first, after) of the edges, each with enough items if there are any.

    >>> _joined([9, 2, 7, 0, 3])
    [(0, 2), (2, 5)]
    """
    bounds: list[tuple[int, int]] = []
    first, size = 0, 0
    for number, count in enumerate(counts):
        size += count
        if size >= LEAST_ITEMS and (number + 1 == len(counts) or counts[number + 1] >= LEAST_ITEMS):
            bounds.append((first, number + 1))
            first, size = number + 1, 0
    if size and bounds:
        bounds[-1] = (bounds[-1][0], len(counts))
    elif size:
        bounds.append((first, len(counts)))
    elif bounds:
        bounds[-1] = (bounds[-1][0], len(counts))
    return bounds
