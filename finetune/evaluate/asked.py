"""Tasks of an evaluation with their items, and the conditions in the signatures of scores.

Two scores can be compared where their signatures agree: the settings of the task, and how the
systems are run.
"""

from __future__ import annotations

from collections.abc import Sequence

from finetune import __version__
from finetune.artefacts.job import Job
from finetune.evaluate.added import groups_of
from finetune.evaluate.base_and_adapter import batches_of, precision_of
from finetune.evaluate.compare import Asked
from finetune.evaluate.measuring.placing import base_placing
from finetune.evaluate.parts import Part
from finetune.models.load import choose_device
from finetune.spec.entry_points import blamed
from finetune.spec.tables.metric import Metric
from finetune.spec.tables.task import GROUP, TASKS, Task, asked


def has_texts(parts: Sequence[Part]) -> bool:
    """Return whether any text is held out."""
    return any(len(records) for part in parts for records in part.chosen["adapter"].values())


def asked_of(job: Job, parts: Sequence[Part]) -> list[Asked]:
    """Return the tasks of a recipe with their items."""
    settings, device = job.recipe.evaluate, choose_device(job.recipe.run.device)
    batch = ",".join(f"{name}={size}" for name, size in batches_of(device).items())
    of_all = (
        f"precision:{precision_of(job, device)}|device:{device.type}|batch:{batch}"
        f"|sharding:{base_placing(job).sharding}|bs:{settings.resamples}|seed:{settings.seed}|version:finetune-{__version__}"
    )
    return [
        _asked_of(task, metrics, job, parts, of_all=of_all)
        for task, metrics in asked(settings.tasks, settings.metrics)
    ]


def _asked_of(
    task: Task, metrics: Sequence[Metric], job: Job, parts: Sequence[Part], *, of_all: str
) -> Asked:
    with blamed(task.name, group=GROUP, known=TASKS):
        return Asked(
            task=task,
            metrics=tuple(metrics),
            groups=tuple(groups_of(task, job, part) for part in parts),
            conditions=f"{task.conditions(job)}|{of_all}",
        )
