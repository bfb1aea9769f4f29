"""Several seeds of one recipe as one comparison: values by seed, and a paired test of their mean.

The statistics of each item are averaged over the seeds, and whole documents are exchanged. So the
test speaks of these seeds on other texts; their standard deviation speaks of other seeds.

Legend: S systems, N items, K statistics of an item.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.results import EvaluateResult
from finetune.artefacts.scores import PairedTest, subject
from finetune.spec.tables.metric import metric
from finetune.spec.tables.task import task_of
from finetune.statistics.significance import Comparison, compare

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Pooled:
    """One metric in one language or direction, over seeds."""

    test: PairedTest
    """Of the first seed: what is compared."""
    values: tuple[float, ...]
    """Of the adapter, seed by seed."""
    better: int
    """Seeds whose adapter is better than base and yardsticks."""
    against: dict[str, Comparison]
    """By name of the base or yardstick: the paired test of the mean over seeds."""

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return fmean(self.values)

    @property
    def deviation(self) -> float:
        """Standard deviation over seeds (n - 1)."""
        return stdev(self.values)


def pooled(evaluations: Sequence[tuple[Path, EvaluateResult]]) -> list[Pooled]:
    """Return each comparison that two or more seeds have on the same items."""
    found = []
    for test in evaluations[0][1].comparisons:
        if metric(test.metric).is_judged:
            one = _pooled(test, evaluations)
            found += [] if one is None else [one]
    return found


def _pooled(test: PairedTest, evaluations: Sequence[tuple[Path, EvaluateResult]]) -> Pooled | None:
    tests = [
        other
        for _, result in evaluations
        for other in result.comparisons
        if subject(other) == subject(test)
    ]
    items = [kept_items(folder, result, test) for folder, result in evaluations]
    if len(tests) < len(evaluations) or any(one is None for one in items):
        return None
    known = [one for one in items if one is not None]
    names, lines, _ = known[0]
    if any((one[0], one[1]) != (names, lines) for one in known):
        return None  # other items: nothing to pair
    mean_SNK = np.mean([array for _, _, array in known], axis=0)
    rows, score = dict(zip(names, mean_SNK, strict=True)), metric(test.metric).value
    against = {
        name: compare(
            rows[name],
            rows["adapter"],
            documents=[document for _, document in lines],
            score=score,
            resamples=RESAMPLES,
            seed=0,
        )
        for name in names
        if name != "adapter" and np.isfinite(rows[name]).all()
    }
    values = tuple(other.adapter for other in tests)
    return Pooled(test, values, sum(other.better == "adapter" for other in tests), against)


KeptItems = tuple[tuple[str, ...], list[tuple[str, str]], NDArray[np.float64]]
"""Systems; item and document of each line; statistics (S, N, K)."""


def kept_items(folder: Path, result: EvaluateResult, test: PairedTest) -> KeptItems | None:
    """Return the items of a comparison; None in evaluations of before they were kept."""
    task = task_of(test.task, direction=test.direction).name
    listed = [f for f in result.items if (f.task, f.metric) == (task, test.metric)]
    if not listed:
        return None
    text = (folder / listed[0].items).read_text("utf-8")
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.split("\n") if line]
    keys = ("language", "direction", "phase")
    mine = [
        n
        for n, one in enumerate(lines)
        if "held_out" not in one and all(one[k] == getattr(test, k) for k in keys)
    ]
    array_SNK = np.load(folder / listed[0].scores, allow_pickle=False)[:, mine]
    return (
        listed[0].systems,
        [(lines[n]["item"], str(lines[n]["document"])) for n in mine],
        array_SNK,
    )
