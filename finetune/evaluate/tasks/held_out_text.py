"""Held-out text: likelihood of the test documents, by language.

Legend: S selected records (indices into the documents of a split), N documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.artefacts.prepared_items import PreparedItems
from finetune.evaluate.examples import condition, likely_with_examples, prompts_of
from finetune.evaluate.outputs import Likelihood
from finetune.evaluate.parts import Part, chosen_among
from finetune.evaluate.yardsticks import by_ngrams
from finetune.spec.card import DataCard
from finetune.spec.tables.task import Group, Task

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System


def groups(job: Job, part: Part) -> list[Group]:
    """Return the documents that are scored, a group per language."""
    documents_D, found = part.splits["adapter"].documents_D, []
    for language, records_S in part.chosen["adapter"].items():
        if len(records_S):
            _, first_N = np.unique(documents_D["document"][records_S], return_index=True)
            items = [part.items[int(record)] for record in records_S[first_N]]
            unit, given = kinds_of(items, cards=job.cards), given_of(items)
            found.append(Group(language=language, items=items, unit=unit, given=given))
    return found


def kinds_of(items: Sequence[Item], *, cards: Mapping[str, DataCard]) -> str:
    """Return the kinds of items: what the cards say a text is, `segment` for a translation."""
    return ", ".join(sorted({_kind_of(item, cards.get(item.card)) for item in items}))


def _kind_of(item: Item, card: DataCard | None) -> str:
    if item.direction:
        return "segment"
    if item.prompt:
        return "answer"
    unit = card.corpus.unit if card else None
    return "document" if unit in (None, "file") else str(unit)


def given_of(items: Sequence[Item]) -> str | None:
    """Return what the model is given beside the text: its source, its prompt."""
    kinds = {"source" if i.direction else "prompt" if i.prompt else None for i in items}
    if kinds == {None}:
        return None
    named = " or ".join(sorted((k for k in kinds if k), reverse=True))
    return f"{named} where there is one" if None in kinds else named


def rows(job: Job, part: Part, groups: Sequence[Group]) -> list[list[int]]:  # noqa: ARG001
    """Return the row that begins each document: documents in a row are scored together."""
    row_of = {
        id(item): int(row)
        for item, row in zip(part.items, part.splits["adapter"].documents_D["row"], strict=True)
    }
    return [[row_of[id(item)] for item in group.items] for group in groups]


def answer(job: Job, system: System, part: Part, groups: Sequence[Group]) -> list[list[Likelihood]]:
    """Return how likely a system finds each document."""
    from finetune.evaluate.base_and_adapter import (
        score,  # with torch, which a table of scores needs not
    )

    chosen = chosen_among(part, groups, system=system.name)
    nll = score(job, system, replace(part, chosen={system.name: chosen}))
    split = part.splits[system.name]
    return [documents_of(split, chosen[group.language], nll[group.language]) for group in groups]


def documents_of(
    split: PreparedItems, records_S: NDArray[np.int64], nll_S2: NDArray[np.float64]
) -> list[Likelihood]:
    """Return the likelihood of each document, in the order of document numbers.

    The segments of a split document are added up: resampling must draw whole documents, because
    parts of one text are not independent.
    """
    records = split.documents_D[records_S]
    numbers, document_S = np.unique(records["document"], return_inverse=True)
    columns = (nll_S2[:, 0], records["supervised_bytes"], nll_S2[:, 1])
    sums = [np.bincount(document_S, weights=one, minlength=len(numbers)) for one in columns]
    return [
        Likelihood(float(nats), int(size), mark_nats=float(marks))
        for nats, size, marks in zip(*sums, strict=True)
    ]


def conditions(job: Job) -> str:
    """Return what decides the scores besides models and texts."""
    settings = job.recipe.evaluate
    context = job.recipe.prepare.sequence_tokens
    return (
        f"split:test|documents:{settings.max_documents}|context:{context}|ngram:5"
        f"|{prompts_of(job)}|{condition(job)}"
    )


TASK = Task(
    name="held_out_text",
    label="held-out text",
    hub_task="text-generation",
    gives=Likelihood,
    metrics=("bits_per_byte", "end_mark_bits"),
    groups=groups,
    units=rows,
    answer=answer,
    yardsticks={"ngram": by_ngrams},
    by_base={"examples": likely_with_examples},
    conditions=conditions,
)
