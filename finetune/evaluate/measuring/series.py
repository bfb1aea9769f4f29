"""Series: the shards of one way of asking a model a task in one part of the test texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.artefacts.scores import SystemName
from finetune.evaluate.added import checked_outputs
from finetune.evaluate.base_and_adapter import batches_of
from finetune.evaluate.compare import Asked
from finetune.evaluate.compared_models.answers import answer, asked_groups
from finetune.evaluate.measuring.loaded_systems import Systems
from finetune.evaluate.measuring.shards import Answers, Shard, cut, read_answers
from finetune.evaluate.parts import Part
from finetune.models.load import choose_device
from finetune.spec.entry_points import blamed
from finetune.spec.sections.compared_model import ComparedAdapter, ComparedModel
from finetune.spec.tables.task import GROUP, TASKS, UNNAMED, Group

FOLDER = "shards"
BOTH: tuple[SystemName, ...] = ("base", "adapter")


@dataclass(frozen=True, slots=True)
class Series:
    """The shards of one way of asking."""

    system: SystemName | ComparedModel | ComparedAdapter
    asked: Asked
    manner: str | None
    """Name of a yardstick (Task.by_base); None: as the task asks."""
    number: int
    """Of the part."""
    part: Part
    shards: tuple[Shard, ...]
    folder: Path

    @property
    def kind(self) -> tuple[str, ...]:
        """Task, manner and name of another model: items of one kind take about the same time."""
        model = "" if isinstance(self.system, str) else self.system.name
        return self.asked.task.name, self.manner or "", model

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups of the task in the part."""
        return self.asked.groups[self.number]

    def path(self, number: int) -> Path:
        """Return the file of a shard."""
        return self.folder / f"{self.number}-{number:05}.jsonl"

    def read(self, number: int) -> Answers | None:
        """Return what was answered to a shard; None if it is not measured."""
        return read_answers(self.path(number), self.asked.task, self.shards[number])

    def answered(self) -> Iterator[tuple[Shard, Answers]]:
        """Yield each shard with what was answered, when all are measured."""
        for number, shard in enumerate(self.shards):
            answers = self.read(number)
            assert answers is not None  # noqa: S101, measured or read a moment ago
            yield shard, answers

    def answer(self, job: Job, systems: Systems, shard: Shard) -> Answers:
        """Return what the model answers to a shard."""
        task, groups = self.asked.task, shard.groups(self.groups)
        every = tuple(i for g in self.groups for i in g.items if isinstance(i, Item))
        part = replace(self.part, asked=every)
        if not isinstance(self.system, str):
            return answer(systems.other(self.system), task.name, part, groups)
        asks: Callable[..., Any] = task.by_base[self.manner] if self.manner else task.answer
        with blamed(task.name, group=GROUP, known=TASKS):
            found = asks(job, systems.get(self.system), part, groups)
        if self.manner is None:
            checked_outputs(task, found, groups=groups)
        return list(found)


def series_of(
    job: Job, parts: Sequence[Part], tasks: Sequence[Asked], systems: Sequence[SystemName] = BOTH
) -> list[Series]:
    """Return all that is measured: base first, tasks and parts in order, other models last.

    Other models are asked where an adapter is.
    """
    size = batches_of(choose_device(job.recipe.run.device))["shard_items"]
    found = []
    for system in systems:
        for one in tasks:
            for manner in (None, *(one.task.by_base if system == "base" else ())):
                name = ".".join(filter(None, (one.task.name, manner)))
                folder = job.workspace / FOLDER / system / name
                for number, part in enumerate(parts):
                    shards = cut(one.task, job, part, one.groups[number], shard_items=size)
                    found.append(Series(system, one, manner, number, part, shards, folder))
    for model in job.recipe.evaluate.models if "adapter" in systems else ():
        for one in tasks:
            if one.task.name not in UNNAMED:
                continue
            folder = job.workspace / FOLDER / f"model.{model.name}" / one.task.name
            for number, part in enumerate(parts):
                groups = asked_groups(job, model, one.task.name, one.groups[number])
                shards = cut(one.task, job, part, groups, shard_items=size)
                found.append(Series(model, one, None, number, part, shards, folder))
    return found
