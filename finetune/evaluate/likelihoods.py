"""Likelihood of any texts, given any contexts: the measure behind controls and yardsticks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from finetune.artefacts.job import Job
from finetune.evaluate.base_and_adapter import SCORE_TOKENS, System, label_of
from finetune.evaluate.outputs import Likelihood
from finetune.evaluate.parts import Part
from finetune.models.encode import Encoded
from finetune.models.in_memory import split_of_segments
from finetune.models.template import special_ids


def likelihoods(
    system: System,
    documents: Sequence[Encoded],
    *,
    row_tokens: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Likelihood]:
    """Return how likely a system finds the supervised tokens of each document.

    Documents (finetune.models.in_memory.continuation; Encoder.document) are packed into rows of
    `row_tokens`, or of the longest document if that is more, and never see each other.
    `on_progress` is called with (rows done, rows in all).
    """
    if not documents:
        return []
    longest = max(len(document.tokens_n) for document in documents)
    split = split_of_segments(list(enumerate(documents)), sequence_tokens=max(row_tokens, longest))
    with system.switch():
        nats_N2 = system.kind.score(
            system.model,
            split,
            records=np.arange(len(documents)),
            batch_rows=max(1, SCORE_TOKENS[system.device.type] // split.sequence_tokens),
            device=system.device,
            marks=special_ids(system.tokenizer),
            on_progress=on_progress,
        )
    return [
        Likelihood(float(nats), document.supervised_bytes, mark_nats=float(marks))
        for (nats, marks), document in zip(nats_N2, documents, strict=True)
    ]


def measured(
    job: Job, system: System, part: Part, documents: Sequence[Encoded], *, what: str
) -> list[Likelihood]:
    """Return the likelihoods of documents in rows as long as those of the recipe, with progress."""
    progress = job.console.progress(
        label_of(what, system, part), total=len(documents), unit="items"
    )
    with progress as bar:
        return likelihoods(
            system,
            documents,
            row_tokens=job.recipe.prepare.sequence_tokens,
            on_progress=lambda done, rows: bar.update(done * len(documents) // rows),
        )
