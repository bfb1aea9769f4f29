"""Generation for test prompts; translations are scored.

Instructions, and the beginnings of plain texts where nothing is asked in a language, are generated
for as well and shown to people, without a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from finetune.artefacts.items import Item, choose_prompts
from finetune.artefacts.job import Job
from finetune.artefacts.prepared_items import PreparedItems
from finetune.evaluate.examples import condition, prompts_of, written_with_examples
from finetune.evaluate.outputs import Generation
from finetune.evaluate.parts import Part
from finetune.evaluate.yardsticks import by_copying
from finetune.spec.tables.task import Group, Task

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System

_BEGINNING_TOKENS = 32
"""A text is continued from at most this many of its first tokens."""


def groups(job: Job, part: Part) -> list[Group]:
    """Return the items to generate for: translations, instructions, beginnings of plain texts.

    A language gets beginnings of texts only if nothing is asked in it.
    """
    settings, split = job.recipe.evaluate, part.splits["adapter"]
    if settings.generate_items == 0:
        return []
    few = min(settings.samples, settings.generate_items)
    asked = choose_prompts(
        part.items, split, per_direction=settings.generate_items, per_language=few
    )
    languages = {item.language for item in asked}
    if few and any(item.language not in languages for item in part.items):
        from finetune.models.load import load_tokenizer, tokenizer_folder

        asked += beginnings(
            [item for item in part.items if item.language not in languages],
            part.items,
            split,
            tokenizer=load_tokenizer(tokenizer_folder(job)),
            per_language=few,
        )
    return [
        Group(
            language=language,
            direction=direction or None,
            items=list(items),
            is_scored=bool(direction),
            unit="segment",
        )
        for (direction, language), items in groupby(
            asked, key=lambda item: (item.direction or "", item.language)
        )
    ]


def beginnings(
    wanted: Sequence[Item],
    items: Sequence[Item],
    split: PreparedItems,
    *,
    tokenizer: Any,
    per_language: int,
) -> list[Item]:
    """Return plain texts split into a beginning (the prompt) and the rest (the reference)."""
    index_of = {id(item): index for index, item in enumerate(items)}
    wanted_indices = [index_of[id(item)] for item in wanted if item.prompt is None]
    wanted_indices.sort(key=lambda index: int(split.documents_D["document"][index]))
    found: dict[str, list[Item]] = {}
    seen: set[int] = set()
    for index in wanted_indices:
        item, record = items[index], split.documents_D[index]
        group = found.setdefault(item.language, [])
        number = int(record["document"])
        if len(group) == per_language or record["length"] < 4 or number in seen:
            continue
        seen.add(number)
        tokens = split.token_ids_of(index)
        cut = min(len(tokens) // 2, _BEGINNING_TOKENS)
        group.append(
            Item(
                id=item.id,
                card=item.card,
                language=item.language,
                prompt=tokenizer.decode(tokens[:cut], skip_special_tokens=True),
                reference=tokenizer.decode(tokens[cut:], skip_special_tokens=True),
                source=None,
                direction=None,
                document=item.document,
                held_out=item.held_out,
            )
        )
    return [item for language in sorted(found) for item in found[language] if item.prompt]


def answer(job: Job, system: System, part: Part, groups: Sequence[Group]) -> list[list[Generation]]:
    """Return what a system generates for each item."""
    from finetune.evaluate.base_and_adapter import (
        write_all,  # with torch, which a table of scores needs not
    )

    texts = iter(write_all(job, system, part, [item for group in groups for item in group.items]))
    return [
        [Generation(next(texts), item.reference or "", item.source) for item in group.items]
        for group in groups
    ]


def conditions(job: Job) -> str:
    """Return what decides the scores besides models and texts."""
    settings = job.recipe.evaluate
    return (
        f"split:test|items:{settings.generate_items}"
        f"|max_tokens:{settings.max_new_tokens},references_p99|decoding:greedy"
        f"|{prompts_of(job)}|{condition(job)}"
    )


TASK = Task(
    name="translation",
    label="translation",
    hub_task="translation",
    gives=Generation,
    metrics=("chrf++", "chrf++_plain", "fidelity", "repetition_rate", "copy_rate"),
    groups=groups,
    answer=answer,
    yardsticks={"copy": by_copying},
    by_base={"examples": written_with_examples},
    conditions=conditions,
)
