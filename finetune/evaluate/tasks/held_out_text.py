"""Held-out text: likelihood of the test documents, by language.

Legend: S selected records (indices into the documents of a split), N documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.job import Job
from finetune.artefacts.prepared_items import PreparedItems
from finetune.evaluate.outputs import Likelihood
from finetune.evaluate.parts import Part
from finetune.spec.tables.task import Group, Task

if TYPE_CHECKING:
    from finetune.evaluate.base_and_adapter import System


def groups(job: Job, part: Part) -> list[Group]:  # noqa: ARG001, the documents were chosen before
    """Return the documents that are scored, a group per language."""
    documents_D, found = part.splits["adapter"].documents_D, []
    for language, records_S in part.chosen["adapter"].items():
        if len(records_S):
            _, first_N = np.unique(documents_D["document"][records_S], return_index=True)
            items = [part.items[int(record)] for record in records_S[first_N]]
            found.append(Group(language=language, items=items))
    return found


def answer(job: Job, system: System, part: Part, groups: Sequence[Group]) -> list[list[Likelihood]]:
    """Return how likely a system finds each document."""
    from finetune.evaluate.base_and_adapter import (
        score,  # with torch, which a table of scores needs not
    )

    nll, chosen = score(job, system, part), part.chosen[system.name]
    split = part.splits[system.name]
    return [documents_of(split, chosen[group.language], nll[group.language]) for group in groups]


def documents_of(
    split: PreparedItems, records_S: NDArray[np.int64], nll_S: NDArray[np.float64]
) -> list[Likelihood]:
    """Return the likelihood of each document, in the order of document numbers.

    The segments of a split document are added up: resampling must draw whole documents, because
    parts of one text are not independent.
    """
    records = split.documents_D[records_S]
    numbers, document_S = np.unique(records["document"], return_inverse=True)
    nats_N = np.bincount(document_S, weights=nll_S, minlength=len(numbers))
    bytes_N = np.bincount(document_S, weights=records["supervised_bytes"], minlength=len(numbers))
    return [Likelihood(float(nats), int(size)) for nats, size in zip(nats_N, bytes_N, strict=True)]


def conditions(job: Job) -> str:
    """Return what decides the scores besides models and texts."""
    settings = job.recipe.evaluate
    context = job.recipe.prepare.sequence_tokens
    return f"split:test|documents:{settings.max_documents}|context:{context}"


TASK = Task(
    name="held_out_text",
    label="held-out text",
    hub_task="text-generation",
    gives=Likelihood,
    metrics=("bits_per_byte",),
    groups=groups,
    answer=answer,
    conditions=conditions,
)
