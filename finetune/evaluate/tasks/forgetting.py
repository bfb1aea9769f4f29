"""Forgetting: likelihood of held-out English and French, which an adapter may lose.

The texts are the sources of held-out translations, as texts without a prompt; where nothing is
translated from a language, the held-out texts of its replay data. A recipe may name a card, and
another language.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.evaluate.outputs import Likelihood
from finetune.evaluate.parts import Part
from finetune.spec.entries import WELL_KNOWN
from finetune.spec.tables.task import Group, Task

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System


def groups(job: Job, part: Part) -> list[Group]:
    """Return texts of English and French, or of the card that the recipe names.

    At most `evaluate.control_items` per language.
    """
    settings, count = job.recipe.evaluate, job.recipe.evaluate.control_items
    named = settings.forgetting
    if named is not None:
        wanted = WELL_KNOWN if named.language is None else (named.language,)
        found = {code: _first(_of_card(job, part, named.card, code), count) for code in wanted}
    else:
        found = {
            code: _first(_sources(part, code), count) or _first(_replayed(job, part, code), count)
            for code in WELL_KNOWN
        }
    return [Group(language=code, items=its, unit="text") for code, its in found.items() if its]


def _first(items: Iterator[Item], count: int) -> list[Item]:
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


def _replayed(job: Job, part: Part, language: str) -> Iterator[Item]:
    """Yield texts of replay data in a language."""
    corpora = [corpus for phase in job.recipe.training_phases for corpus in phase.corpora]
    yield from _texts(job, part, {corpus.card for corpus in corpora if corpus.replay}, language)


def _of_card(job: Job, part: Part, card: str, language: str) -> Iterator[Item]:
    """Yield texts of a card in a language: plain ones, sources, references."""
    yield from _texts(job, part, {card}, language)
    for record in _order(part):
        item = part.items[record]
        read, _, written = (item.direction or f">{item.language}").partition(">")
        text = item.source if language == read else item.reference
        if item.card == card and item.prompt is not None and language in (read, written) and text:
            yield _as_text(item, language, text)


def _texts(job: Job, part: Part, cards: Collection[str], language: str) -> Iterator[Item]:
    """Yield plain texts of cards in a language, by the order of hashes; of long ones a part."""
    from finetune.models.load import load_tokenizer, tokenizer_folder

    tokenizer, split = load_tokenizer(tokenizer_folder(job)), part.splits["adapter"]
    for record in _order(part):
        item = part.items[record]
        if item.language == language and item.card in cards and item.prompt is None:
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
    recipe, named = job.recipe, job.recipe.evaluate.forgetting
    return (
        f"split:test|items:{recipe.evaluate.control_items}|context:{recipe.prepare.sequence_tokens}"
        + (f"|card:{named.card}" if named else "")
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
