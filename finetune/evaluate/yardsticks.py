"""Yardsticks that need no model: an n-gram model of the texts that the adapter saw, and a copy.

They answer the same items as base and adapter. An adapter that needs more bits than the n-gram
model has learned less of the language than counting does; one that translates worse than a copy of
the source has not learned to translate.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.drawn_rows import rows_seen
from finetune.artefacts.job import Job
from finetune.artefacts.prepared_items import PreparedItems
from finetune.artefacts.results import PrepareResult, TrainResult, read_result
from finetune.evaluate.outputs import Generation, Likelihood
from finetune.evaluate.parts import Part
from finetune.spec.tables.task import Group
from finetune.statistics.byte_ngrams import ByteNgrams, count, nats_of

MOST_BYTES = 50_000_000
"""Of training texts in a language, by the order of their hashes; 0.2 CPU seconds and 40 MB of
memory per MB."""
_BATCH = 10_000


def by_ngrams(job: Job, part: Part, groups: Sequence[Group]) -> list[list[Likelihood] | None]:
    """Return how likely a byte n-gram model of the training texts finds each document.

    None for a language in which the adapter saw no text.
    """
    from finetune.models.load import load_tokenizer, tokenizer_folder

    tokenizer = load_tokenizer(tokenizer_folder(job))
    found: list[list[Likelihood] | None] = []
    for group in groups:
        model = _counted(job, part, group.language, tokenizer=tokenizer)
        records_S = part.chosen["adapter"][group.language]
        split = part.splits["adapter"]
        likelihoods = None
        if model is not None:
            likelihoods = _likelihoods(model, split, records_S, tokenizer=tokenizer)
        found.append(likelihoods)
    return found


def by_copying(
    job: Job,  # noqa: ARG001, an answer of any yardstick has it
    part: Part,  # noqa: ARG001
    groups: Sequence[Group],
) -> list[list[Generation] | None]:
    """Return the source of each item as its translation; None for a group without sources."""
    return [
        [Generation(item.source or "", item.reference or "", item.source) for item in group.items]
        if group.direction
        else None
        for group in groups
    ]


def texts_seen(job: Job, language: str, *, tokenizer: Any) -> Iterator[bytes]:
    """Yield the target texts of a language that the adapter was trained on, each once.

    In every phase those of the rows that were drawn: until the released step in the last phase,
    in all steps of the others.
    """
    from finetune.models.kinds import kind_of

    kind = kind_of(job.inputs["base"].path / "model")
    *earlier, last = job.recipe.training_phases
    best = read_result(job.inputs["train"], TrainResult).best_step
    left = MOST_BYTES
    for phase, (_, prepared) in zip((*earlier, last), job.prepared, strict=True):
        result = read_result(prepared, PrepareResult)
        split = kind.open_split(
            prepared.path / "train", languages=result.languages, cards=result.cards
        )
        rows = rows_seen(replace(job, phase=phase), split, steps=best if phase is last else None)
        records = _records(split, language, rows=rows)
        for text in _texts(split, records, tokenizer=tokenizer):
            if left <= 0:
                return
            left -= len(text)
            yield text


def kept_texts(job: Job, part: Part, language: str, *, tokenizer: Any) -> list[bytes]:
    """Return the texts of `texts_seen`, decoded once for all parts."""

    def make() -> tuple[list[bytes], int]:
        texts = list(texts_seen(job, language, tokenizer=tokenizer))
        return texts, sum(map(sys.getsizeof, texts))

    found: list[bytes] = part.kept.get(("texts seen", language), make)
    return found


def _counted(job: Job, part: Part, language: str, *, tokenizer: Any) -> ByteNgrams | None:
    """Return the model of a language; it is the same for all parts."""

    def make() -> tuple[ByteNgrams | None, int]:
        texts = kept_texts(job, part, language, tokenizer=tokenizer)
        model = count(texts) if texts else None
        return model, model.size_bytes if model else 0

    found: ByteNgrams | None = part.kept.get(("n-gram model", language), make)
    return found


def _records(split: PreparedItems, language: str, *, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the records of a language in these rows, by the order of their documents' hashes."""
    if language not in split.languages:
        return np.zeros(0, dtype=np.int64)
    documents_D = split.documents_D
    inside_D = (documents_D["language"] == split.languages.index(language)) & np.isin(
        documents_D["row"], rows
    )
    found = np.flatnonzero(inside_D & (documents_D["supervised_bytes"] > 0))
    return found[np.argsort(documents_D["document"][found], kind="stable")]


def _texts(split: PreparedItems, records: NDArray[np.int64], *, tokenizer: Any) -> Iterator[bytes]:
    """Yield the target text of each record."""
    for start in range(0, len(records), _BATCH):
        ids = [split.target_ids_of(int(record)) for record in records[start : start + _BATCH]]
        decoded = tokenizer.batch_decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        yield from (text.encode() for text in decoded)


def _likelihoods(
    model: ByteNgrams, split: PreparedItems, records_S: NDArray[np.int64], *, tokenizer: Any
) -> list[Likelihood]:
    """Return the likelihood of each document, in the order of document numbers."""
    from finetune.evaluate.tasks.held_out_text import documents_of

    sizes_S = split.documents_D["supervised_bytes"][records_S]
    texts = list(_texts(split, records_S, tokenizer=tokenizer))
    nats_S2 = nats_of(model, texts, sizes_N=sizes_S)
    return documents_of(split, records_S, nats_S2)
