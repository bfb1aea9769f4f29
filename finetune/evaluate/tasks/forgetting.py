"""Forgetting: likelihood of held-out English and French, which an adapter may lose.

The texts are the sources of held-out translations, as texts without a prompt; where nothing is
translated from a language, the held-out texts of its replay data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.evaluate.outputs import Likelihood
from finetune.evaluate.parts import Part
from finetune.spec.tables.task import Group, Task

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System

LANGUAGES = ("eng_Latn", "fra_Latn")
"""In which bases are at home."""


def groups(job: Job, part: Part) -> list[Group]:
    """Return English and French texts, at most `evaluate.control_items` each."""
    found = []
    for language in LANGUAGES:
        items = _first(_sources(part, language), count=job.recipe.evaluate.control_items) or _first(
            _texts(job, part, language), count=job.recipe.evaluate.control_items
        )
        if items:
            found.append(Group(language=language, items=items, unit="text"))
    return found


def _first(items: Iterator[Item], *, count: int) -> list[Item]:
    """Return the first items, each text once."""
    found: dict[str | None, Item] = {}
    for item in items:
        if len(found) == count:
            break
        found.setdefault(item.reference, item)
    return list(found.values())


def _sources(part: Part, language: str) -> Iterator[Item]:
    """Yield the sources of translations from a language, by the order of hashes."""
    for record in _order(part):
        item = part.items[record]
        if item.source and (item.direction or "").partition(">")[0] == language:
            yield _as_text(item, language, item.source)


def _texts(job: Job, part: Part, language: str) -> Iterator[Item]:
    """Yield texts of replay data in a language, by the order of hashes; of long ones a part."""
    from finetune.models.load import load_tokenizer, tokenizer_folder

    corpora = [corpus for phase in job.recipe.training_phases for corpus in phase.corpora]
    replayed = {corpus.card for corpus in corpora if corpus.replay}
    tokenizer, split = load_tokenizer(tokenizer_folder(job)), part.splits["adapter"]
    for record in _order(part):
        item = part.items[record]
        if item.language == language and item.card in replayed and item.prompt is None:
            ids = split.token_ids_of(record)
            text = tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
            if text:
                yield _as_text(item, language, text)


def _order(part: Part) -> list[int]:
    numbers: list[int] = np.argsort(
        part.splits["adapter"].documents_D["document"], kind="stable"
    ).tolist()
    return numbers


def _as_text(item: Item, language: str, text: str) -> Item:
    return replace(
        item, language=language, prompt=None, reference=text, source=None, direction=None
    )


def answer(job: Job, system: System, part: Part, groups: Sequence[Group]) -> list[list[Likelihood]]:
    """Return how likely a system finds each text."""
    from finetune.evaluate.likelihoods import of_texts

    texts = [item.reference or "" for group in groups for item in group.items]
    found = iter(of_texts(job, system, part, texts, what="forgetting"))
    return [[next(found) for _ in group.items] for group in groups]


def conditions(job: Job) -> str:
    """Return what decides the scores besides models and texts."""
    recipe = job.recipe
    return (
        f"split:test|items:{recipe.evaluate.control_items}|context:{recipe.prepare.sequence_tokens}"
    )


TASK = Task(
    name="forgetting",
    label="forgetting",
    hub_task="text-generation",
    gives=Likelihood,
    metrics=("forgetting_bits",),
    groups=groups,
    answer=answer,
    conditions=conditions,
)
