"""Short and hard inputs: one word, capitals, typing errors, numbers, negation. Without a score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from finetune.artefacts.items import choose_prompts
from finetune.artefacts.job import Job
from finetune.evaluate.descriptions.made_inputs import hard_items
from finetune.evaluate.outputs import Generation
from finetune.evaluate.parts import Part
from finetune.spec.tables.task import Group, Task

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System


ITEMS_PER_INPUT = 15
"""Items that are translated for each input of a kind, so that few items have few inputs beside
them."""


def groups(job: Job, part: Part) -> list[Group]:
    """Return the inputs of each direction, a group for each kind."""
    settings = job.recipe.evaluate
    per_kind = min(settings.hard_inputs, math.ceil(settings.generate_items / ITEMS_PER_INPUT))
    items = choose_prompts(
        part.items, part.splits["adapter"], per_direction=len(part.items), per_language=0
    )
    return [
        Group(
            language=made[0].language, direction=direction, items=made, is_scored=False, unit=kind
        )
        for direction in dict.fromkeys(item.direction for item in items)
        for kind, made in hard_items(
            [item for item in items if item.direction == direction],
            per_kind=per_kind,
        ).items()
    ]


def answer(job: Job, system: System, part: Part, groups: Sequence[Group]) -> list[list[Generation]]:
    """Return what a system generates for each input, no longer than for other items."""
    from finetune.evaluate.base_and_adapter import (
        write_all,  # with torch, which a table of scores needs not
    )

    inputs = [item for group in groups for item in group.items]
    like = replace(part, asked=tuple(item for item in part.items if item.direction))
    texts = iter(write_all(job, system, like, inputs))
    return [[Generation(next(texts), "", one.source) for one in group.items] for group in groups]


def conditions(job: Job) -> str:
    """Return what decides the outputs besides models and texts."""
    return f"hard_inputs:{job.recipe.evaluate.hard_inputs}|decoding:greedy"


TASK = Task(
    name="hard_inputs",
    label="short and hard inputs",
    hub_task="translation",
    gives=Generation,
    metrics=(),
    groups=groups,
    answer=answer,
    conditions=conditions,
)
