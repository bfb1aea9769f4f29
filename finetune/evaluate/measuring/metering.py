"""Energy of an evaluation, with that of the base's answers, which several adapters may share."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from finetune.artefacts.emissions import Energy, added
from finetune.artefacts.job import Job
from finetune.artefacts.results import as_json, read_result
from finetune.evaluate.measuring.placing import base_placing
from finetune.launch.energy import metered_stage, of_stage
from finetune.models.load import gpus_of


@dataclass(frozen=True, slots=True)
class _Baseline:
    energy: Energy | None = None


def metered_evaluation(job: Job) -> AbstractContextManager[None]:
    """Meter what this process does for an evaluation, on its GPUs and processors."""
    gpus = gpus_of(base_placing(job).devices)
    return metered_stage(job.workspace, leads=job.leads, gpus=gpus)


def energy_of_evaluation(job: Job) -> dict[str, Any]:
    """Return the energy as a result has it; empty if some of it was not metered."""
    used = of_stage(job.workspace)
    runs = [Energy(*used) if used else None]
    if "baseline" in job.inputs:
        runs.append(read_result(job.inputs["baseline"], _Baseline).energy)
    metered = [one for one in runs if one is not None]
    energy = added(metered) if len(metered) == len(runs) else None
    return {"energy": as_json(energy)} if energy else {}
