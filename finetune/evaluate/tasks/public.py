"""A task of lm-evaluation-harness as a row of the table of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from finetune.artefacts.job import Job
from finetune.evaluate.outputs import Answer
from finetune.evaluate.parts import Part
from finetune.spec.tables.public_tasks import PublicTask
from finetune.spec.tables.task import Group, Task

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System


def row_of(found: PublicTask) -> Task:
    """Return the row of a task; nothing of the package is imported before it is asked."""
    return Task(
        name=found.name,
        label=found.name,
        hub_task="multiple-choice" if found.kind == "multiple_choice" else "text-generation",
        gives=Answer,
        metrics=("task_accuracy",),
        groups=partial(_groups, found),
        answer=partial(_answer, found),
        conditions=partial(_conditions, found),
        dataset=f"{found.dataset} {found.config}" if found.config else found.dataset,
    )


def _groups(found: PublicTask, job: Job, part: Part) -> list[Group]:
    """Return the items as one group; they belong to no phase, and are asked once, with the last."""
    from finetune.evaluate.harness import questions_of

    if part.phase != job.prepared[-1][0]:
        return []
    items = questions_of(job, found)
    return [Group(language=found.languages[-1], items=items, unit="question")]


def _answer(
    found: PublicTask,
    job: Job,
    system: System,
    part: Part,  # noqa: ARG001, an answer of any task has it
    groups: Sequence[Group],
) -> list[list[Answer]]:
    from finetune.evaluate.harness import answers_of

    return [answers_of(job, system, found, group.items) for group in groups]


def _conditions(found: PublicTask, job: Job) -> str:
    from finetune.evaluate.harness import conditions_of

    return conditions_of(job, found)
