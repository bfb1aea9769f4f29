"""Runs that differ in their seeds alone, as one comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.artefacts.seeds import Pooled, pooled
from finetune.report.run_facts import Run

SEED = "train.seed"


@dataclass(frozen=True, slots=True)
class OfSeeds:
    """Runs of several seeds, and each comparison over them."""

    runs: tuple[Run, ...]
    pooled: tuple[Pooled, ...]


def across_seeds(runs: Sequence[Run]) -> list[OfSeeds]:
    """Return the groups of evaluated runs whose settings are equal but for the seed."""
    alike: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        if run.evaluated and run.folder and run.seed is not None:
            kept = (f"{k}={v!r}" for k, v in sorted(run.settings.items()) if k != SEED)
            alike.setdefault(tuple(kept), []).append(run)
    found = []
    for same in alike.values():
        evaluations = [(one.folder, one.evaluated) for one in same if one.folder and one.evaluated]
        if len({run.seed for run in same}) == len(same) > 1:
            found.append(OfSeeds(tuple(same), tuple(pooled(evaluations))))
    return found
