"""Shards: the items of a task, cut in a fixed order, and a file for the answers to each.

The cut depends on items and kind of device alone, not on the number of processes: a shard is run in
the same batches by one process or by one of several, before a stop or after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, is_dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.evaluate.added import refuse_unkept
from finetune.evaluate.parts import Part
from finetune.output.durable import replace_text
from finetune.spec.tables.task import Group, Task

Answers = list[list[Any] | None]
"""For each group an output for each item; None for a group of which there is nothing."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Some items of some groups, answered in one call."""

    places: tuple[tuple[int, tuple[int, ...]], ...]
    """Number of a group, and those of its items, rising."""

    def __len__(self) -> int:
        return sum(len(items) for _, items in self.places)

    def groups(self, groups: Sequence[Group]) -> list[Group]:
        """Return the groups with the items of this shard alone."""
        return [
            replace(groups[number], items=[groups[number].items[place] for place in items])
            for number, items in self.places
        ]


def cut(
    task: Task, job: Job, part: Part, groups: Sequence[Group], *, shard_items: int
) -> tuple[Shard, ...]:
    """Cut the items of a task into shards of about as many items.

    Items of one unit (Task.units) stay together. Without units the longest prompts come first, so
    that a batch holds prompts of about one length. A task that cannot be split is one shard.
    """
    everything = [
        (number, place) for number, g in enumerate(groups) for place in range(len(g.items))
    ]
    if not everything:
        return ()
    if not task.can_be_split:
        return (_shard(everything),)
    if task.units is not None:
        unit = dict(zip(everything, _flat(task.units(job, part, groups)), strict=True))
        ordered = sorted(everything, key=unit.__getitem__)
        units = [list(same) for _, same in groupby(ordered, key=unit.__getitem__)]
    else:
        ordered = sorted(everything, key=lambda at: -_length(groups[at[0]].items[at[1]]))
        units = [[at] for at in ordered]
    shards: list[list[tuple[int, int]]] = [[]]
    for together in units:
        if len(shards[-1]) >= shard_items:
            shards.append([])
        shards[-1] += together
    return tuple(map(_shard, shards))


def _shard(places: Sequence[tuple[int, int]]) -> Shard:
    numbers = sorted({number for number, _ in places})
    return Shard(
        tuple((n, tuple(sorted(at for number, at in places if number == n))) for n in numbers)
    )


def _flat(units: Sequence[Sequence[int]]) -> Iterator[int]:
    return (number for group in units for number in group)


def _length(item: Any) -> int:
    return len(item.prompt or "") if isinstance(item, Item) else 0


def write_answers(path: Path, task: Task, shard: Shard, answers: Answers) -> None:
    """Write what was answered to a shard: a line per item, all of them or no file.

    Raises RecipeError for outputs of an installed package that JSON cannot hold.
    """
    lines = []
    for (number, places), of_group in zip(shard.places, answers, strict=True):
        for place, output in zip(places, of_group or [None] * len(places), strict=True):
            lines.append({"group": number, "item": place, "output": _plain(task, output)})
    try:
        text = "".join(json.dumps(line) + "\n" for line in lines)
    except (TypeError, ValueError) as error:
        raise refuse_unkept(task, error) from error
    replace_text(path, text)


def _plain(task: Task, output: Any) -> Any:
    if output is None:
        return None
    if not is_dataclass(output) or isinstance(output, type):
        raise refuse_unkept(task, TypeError(f"{type(output).__name__} is no dataclass"))
    return asdict(output)


def read_answers(path: Path, task: Task, shard: Shard) -> Answers | None:
    """Return what was answered to a shard; None if it is not there or the file is damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError, ValidationError):
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        found = {(line["group"], line["item"]): line["output"] for line in lines}
        expected = {(number, place) for number, places in shard.places for place in places}
        if found.keys() == expected:
            return [_outputs(task, [found[n, at] for at in places]) for n, places in shard.places]
    return None


def _outputs(task: Task, plain: list[Any]) -> list[Any] | None:
    if None in plain:
        return None
    return TypeAdapter(list[task.gives]).validate_python(plain)  # type: ignore[name-defined]


def merged(groups: Sequence[Group], answered: Sequence[tuple[Shard, Answers]]) -> Answers:
    """Return the answers to shards in the order of groups and items."""
    found: list[list[Any] | None] = [[None] * len(group.items) for group in groups]
    for shard, answers in answered:
        for (number, places), of_group in zip(shard.places, answers, strict=True):
            outputs = found[number]
            if of_group is None or outputs is None:
                found[number] = None
                continue
            for place, output in zip(places, of_group, strict=True):
                outputs[place] = output
    return found
