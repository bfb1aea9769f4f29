"""Short answers: questions and extractions whose reference is a few words.

Of corpora of conversations, the test items whose answer has at most ten words and 60 characters:
such an answer is right or wrong. Longer ones are generated for and shown without a score
(finetune.evaluate.tasks.translation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from finetune.artefacts.items import Item, choose_prompts
from finetune.artefacts.job import Job
from finetune.evaluate.outputs import Generation
from finetune.evaluate.parts import Part
from finetune.evaluate.tasks import translation
from finetune.spec.tables.task import Group, Task

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System

MOST_WORDS = 10
"""A longer answer can be right in many ways."""
MOST_CHARACTERS = 60
"""For scripts without spaces, in which a sentence is one word."""


def groups(job: Job, part: Part) -> list[Group]:
    """Return the items with short answers, a group for each language."""
    most = job.recipe.evaluate.generate_items
    every = len(part.items)
    found: dict[str, list[Item]] = {}
    for item in choose_prompts(
        part.items, part.splits["adapter"], per_direction=0, per_language=every
    ):
        if is_short(item):
            found.setdefault(item.language, []).append(item)
    return [
        Group(language=language, items=items[:most], unit="answer", given="question")
        for language, items in found.items()
        if most
    ]


def is_short(item: Item) -> bool:
    """Return whether an item has a question, no source to translate, and a short answer."""
    if item.prompt is None or item.direction is not None or not (item.reference or "").strip():
        return False
    answer = (item.reference or "").strip()
    return len(answer.split()) <= MOST_WORDS and len(answer) <= MOST_CHARACTERS


def answer(job: Job, system: System, part: Part, groups: Sequence[Group]) -> list[list[Generation]]:
    """Return what a system answers to each question."""
    return translation.answer(job, system, part, groups)


def conditions(job: Job) -> str:
    """Return what decides the scores besides models and texts."""
    most = f"{MOST_WORDS}words,{MOST_CHARACTERS}characters"
    return f"{translation.conditions(job)}|references:{most}"


TASK = Task(
    name="short_answers",
    label="short answers",
    hub_task="question-answering",
    gives=Generation,
    metrics=("exact_match", "f1"),
    groups=groups,
    answer=answer,
    conditions=conditions,
)
