"""Likelihood of any texts, given any contexts: the measure behind controls and yardsticks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from finetune.evaluate.base_and_adapter import SCORE_TOKENS, System
from finetune.evaluate.outputs import Likelihood
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
