"""Prompts of a recipe: what base and adapter answer is written down for speakers to judge.

No score is computed, and no list of words decides: whether an answer is right, safe or rightly
refused is judged by people (`finetune judge build --prompts`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.evaluate.outputs import Generation
from finetune.evaluate.parts import Part
from finetune.evaluate.tasks.kl import laid_out
from finetune.spec.prompt_set import Prompt, read_prompts
from finetune.spec.tables.task import PROMPTS, Group, Task

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System


def groups(job: Job, part: Part) -> list[Group]:
    """Return the prompts of the recipe, a group for each language; once per evaluation."""
    files = job.recipe.prompt_files
    if not files or part.phase != job.prepared[0][0]:
        return []
    from finetune.models.load import load_tokenizer, tokenizer_folder

    tokenizer = load_tokenizer(tokenizer_folder(job))
    prompts = dict.fromkeys(one for file in files for one in read_prompts(Path(file).expanduser()))
    found: dict[str, list[Item]] = {}
    for one in prompts:
        item = _item(one, laid_out(one.text, job, tokenizer))
        found.setdefault(one.language, []).append(item)
    return [
        Group(language=language, items=items, is_scored=False, unit="prompt")
        for language, items in found.items()
    ]


def _item(one: Prompt, prompt: str) -> Item:
    return Item(
        id=hashlib.sha256(f"{one.language}\t{one.text}".encode()).hexdigest(),
        card="",
        language=one.language,
        prompt=prompt,
        reference=None,
        source=one.text,
        direction=None,
    )


def answer(job: Job, system: System, part: Part, groups: Sequence[Group]) -> list[list[Generation]]:
    """Return what a system answers to each prompt, cut at `evaluate.max_new_tokens`."""
    from finetune.evaluate.base_and_adapter import (
        write_all,  # with torch, which a table of scores needs not
    )

    items = [item for group in groups for item in group.items]
    texts = iter(write_all(job, system, replace(part, asked=()), items))
    return [[Generation(next(texts), "", one.source) for one in group.items] for group in groups]


def conditions(job: Job) -> str:
    """Return what decides the outputs besides models and texts."""
    return f"prompts|max_tokens:{job.recipe.evaluate.max_new_tokens}|decoding:greedy"


TASK = Task(
    name=PROMPTS,
    label="prompts for speakers",
    hub_task="text-generation",
    gives=Generation,
    metrics=(),
    groups=groups,
    answer=answer,
    conditions=conditions,
)
