"""The checkpoint from which a training run goes on, if there is one that may be used."""

from __future__ import annotations

import shutil
from pathlib import Path

from finetune.artefacts.job import Job
from finetune.artefacts.results import TrainResult, read_result
from finetune.launch import energy
from finetune.messages import sentence
from finetune.mix.mixture_plan import MixturePlan
from finetune.train import training_mix
from finetune.train.checkpoint import Checkpoint, newest_checkpoint, read_checkpoint
from finetune.train.metrics import METRICS
from finetune.train.processes import Processes
from finetune.train.resuming.versions import changed, other_versions, versions_now


def resume(
    job: Job, *, steps: int, rows_per_step: int, mixed: MixturePlan | None, processes: Processes
) -> Checkpoint | None:
    """Return the state to continue from: an own checkpoint, else that of a shorter run.

    Rank 0 chooses it, so that all ranks read the same one.
    """
    resumed = None
    if processes.is_main:
        resumed = _chosen(job, steps=steps, rows_per_step=rows_per_step, mixed=mixed)
    chosen = processes.text(None if resumed is None else str(resumed.folder))
    if chosen is not None and resumed is None:
        resumed = read_checkpoint(Path(chosen))
    if resumed is not None and (changes := changed_versions(job, resumed)):
        if not job.recipe.run.accept_versions:  # the same on all ranks
            raise other_versions(changes, step=resumed.progress.step)
        job.console.say(
            sentence("resuming with other versions, as accepted: {changes}", changes=changes)
        )
    return resumed


def changed_versions(job: Job, resumed: Checkpoint) -> list[str]:
    """Return the versions that differ from those that wrote a checkpoint."""
    return changed(
        resumed.versions,
        versions_now(),
        sharding=resumed.layout.sharding,
        quantized=job.recipe.base.quantization != "none",
    )


def _chosen(
    job: Job, *, steps: int, rows_per_step: int, mixed: MixturePlan | None
) -> Checkpoint | None:
    """Return the state to continue from, as rank 0 chooses it."""
    resumed, problems = newest_checkpoint(
        job.workspace / "checkpoints", also=job.workspace / "state"
    )
    shorter = job.inputs.get("shorter")
    if resumed is None and shorter is not None:
        resumed, found = newest_checkpoint(
            shorter.path / "checkpoints", also=shorter.path / "state"
        )
        problems += found
        if resumed is not None and resumed.progress.step > steps:
            resumed = None
        resumed = _of_the_same_mix(job, resumed, mixed=mixed, rows_per_step=rows_per_step)
        resumed = _of_the_same_versions(job, resumed)
        if resumed is not None:
            shutil.copyfile(shorter.path / METRICS, job.workspace / METRICS)
            used = read_result(shorter, TrainResult).energy
            if used is not None:
                energy.carry(job.workspace, kilowatt_hours=used.kilowatt_hours, method=used.method)
            if (shorter.path / "tensorboard").is_dir() and job.recipe.run.tensorboard:
                events = job.workspace / "tensorboard"
                shutil.copytree(shorter.path / "tensorboard", events, dirs_exist_ok=True)
    for damage in problems:
        job.console.say(f"{damage}; using the one before it")
    if resumed is not None:
        step = resumed.progress.step
        job.console.say(
            f"resuming from the checkpoint at step {step:,} of {steps:,}", step=step, total=steps
        )
    return resumed


def _of_the_same_mix(
    job: Job, resumed: Checkpoint | None, *, mixed: MixturePlan | None, rows_per_step: int
) -> Checkpoint | None:
    """Return the state of the shorter training if it drew its rows as this one draws them."""
    if resumed is None:
        return None
    row = resumed.progress.step * rows_per_step
    stored = read_result(job.inputs["shorter"], TrainResult).mixture
    if training_mix.same_until(mixed, stored, row=row):
        return resumed
    job.console.say(
        f"not resuming from the training run of {resumed.progress.step:,} steps in the store: its "
        "data mixture has other shares. With mixture.budget_tokens they do not depend on the length"
    )
    return None


def _of_the_same_versions(job: Job, resumed: Checkpoint | None) -> Checkpoint | None:
    """Return the state of the shorter training unless other versions wrote it."""
    changes = [] if resumed is None else changed_versions(job, resumed)
    if resumed is None or not changes or job.recipe.run.accept_versions:
        return resumed
    job.console.say(
        sentence(
            "not resuming from step {step} of the training run in the store: it was written with "
            "{changes}. --accept-versions resumes it",
            step=resumed.progress.step,
            changes=changes,
        )
    )
    return None
