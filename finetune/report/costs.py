"""Energy, time and processes of each training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.artefacts.emissions import Emissions
from finetune.report.run_facts import Run


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a training run, stops included as far as they were metered."""

    label: str
    seconds: float
    """Of training steps, over all starts."""
    processes: int
    on_gpus: bool
    """True if counters of GPUs were read."""
    tokens_per_second: float
    emissions: Emissions

    @property
    def hours(self) -> float:
        """Hours of all processes together: GPU-hours, if each has a GPU."""
        return self.processes * self.seconds / 3600


def costs_of(runs: Sequence[Run]) -> list[Cost]:
    """Return the cost of each training run that recorded its time."""
    found = []
    for run in runs:
        trained = run.trained
        if trained is None or not trained.seconds:
            continue
        methods = run.emissions.methods
        found.append(
            Cost(
                run.label,
                trained.seconds,
                trained.ranks,
                any("GPU" in method for method in methods),
                trained.tokens_per_second,
                run.emissions,
            )
        )
    return found
