"""Likelihood of any texts, given any contexts: the measure behind controls and yardsticks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from finetune.artefacts.job import Job
from finetune.evaluate.base_and_adapter import System, label_of
from finetune.evaluate.outputs import Likelihood
from finetune.evaluate.parts import Part
from finetune.models.encode import Encoded, Encoder
from finetune.models.in_memory import split_of_segments
from finetune.models.template import special_ids
from finetune.sizing.evaluation_need import SCORE_TOKENS

_ANY_LENGTH = 2**31 - 1


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


def given_prompts(
    job: Job, system: System, part: Part, pairs: Sequence[tuple[str, str]], *, what: str
) -> list[Likelihood]:
    """Return how likely a system finds each text after its prompt: (prompt, text).

    The beginning of a prompt that is too long for the model's context is cut.
    """
    encoder, limit = Encoder(system.tokenizer), system.kind.context_tokens(system.model)
    documents = []
    for prompt, text in pairs:
        [whole] = encoder.document(((prompt, False), (text, True)), row_tokens=_ANY_LENGTH)
        documents.append(_last(whole, limit))
    return measured(job, system, part, documents, what=what)


def of_texts(
    job: Job, system: System, part: Part, texts: Sequence[str], *, what: str
) -> list[Likelihood]:
    """Return how likely a system finds each text; of a long one in parts."""
    encoder, row_tokens = Encoder(system.tokenizer), job.recipe.prepare.sequence_tokens
    cut = [encoder.document(((text, True),), row_tokens=row_tokens) for text in texts]
    found = iter(
        measured(job, system, part, [segment for one in cut for segment in one], what=what)
    )
    sums = []
    for segments in cut:
        mine = [next(found) for _ in segments]
        nats, marks = sum(one.nats for one in mine), sum(one.mark_nats for one in mine)
        sums.append(Likelihood(nats, sum(one.size_bytes for one in mine), mark_nats=marks))
    return sums


def _last(whole: Encoded, limit: int | None) -> Encoded:
    """Return the last tokens of a document, as many as a context takes."""
    if limit is None or len(whole.tokens_n) <= limit:
        return whole
    supervised_n = whole.supervised_n[-limit:].copy()
    supervised_n[:1] = 0
    return Encoded(whole.tokens_n[-limit:], supervised_n, whole.supervised_bytes)
