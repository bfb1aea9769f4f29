"""Texts and tokens as a split in memory: for measures, not for training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from finetune.artefacts.packed_split import DOCUMENT_DTYPE, PackedSplit
from finetune.errors import DataError
from finetune.messages import problem
from finetune.models.encode import Encoded, Encoder

NO_NAMES = ("",)


def split_of_texts(texts: Iterable[str], *, tokenizer: Any, sequence_tokens: int) -> PackedSplit:
    """Return plain texts as `prepare` tokenizes them: each ends with the eos token.

    A text longer than `sequence_tokens` has several segments. Raises DataError if no text has a
    token to predict.
    """
    encoder = Encoder(tokenizer)
    segments = [
        (number, segment)
        for number, text in enumerate(texts)
        for segment in encoder.document(
            ((text + tokenizer.eos_token, True),), row_tokens=sequence_tokens
        )
        if segment.supervised_bytes
    ]
    if not segments:
        raise DataError(problem("no-text-to-measure", "there is no text to measure"))
    return split_of_segments(segments, sequence_tokens=sequence_tokens)


def continuation(context: Sequence[int], target: Sequence[int], *, size_bytes: int) -> Encoded:
    """Return a document whose `target` is supervised, after a context that is not.

    `size_bytes`: UTF-8 bytes that the target spells.
    """
    supervised_n = np.zeros(len(context) + len(target), dtype=np.uint8)
    supervised_n[len(context) :] = 1
    supervised_n[:1] = 0
    tokens_n = np.array([*context, *target], dtype=np.uint32)
    return Encoded(tokens_n, supervised_n, size_bytes)


def segment_of(split: Any, record: int) -> Encoded:
    """Return a record of a packed split (finetune.artefacts.packed_split.PackedSplit) as it is."""
    found = split.documents_D[record]
    inside = slice(int(found["start"]), int(found["start"]) + int(found["length"]))
    row = int(found["row"])
    return Encoded(
        np.array(split.tokens_NT[row, inside]),
        np.array(split.supervised_NT[row, inside]),
        int(found["supervised_bytes"]),
    )


def split_of_segments(
    segments: Sequence[tuple[int, Encoded]], *, sequence_tokens: int
) -> PackedSplit:
    """Return segments, each with the number of its document, as a split in the same order.

    A row of `sequence_tokens` takes segments as long as they fit. Raises ValueError for a segment
    that is longer than a row.
    """
    places: list[tuple[int, int, int]] = []
    row, start, inside = 0, 0, 0
    for _, segment in segments:
        length = len(segment.tokens_n)
        if length > sequence_tokens:
            raise ValueError(f"{length} tokens do not fit a row of {sequence_tokens}")
        if start + length > sequence_tokens:
            row, start, inside = row + 1, 0, 0
        inside += 1
        places.append((row, start, inside))
        start += length
    shape = (row + 1, sequence_tokens)
    split = PackedSplit(
        tokens_NT=np.zeros(shape, np.uint32),
        segments_NT=np.zeros(shape, np.int32),
        supervised_NT=np.zeros(shape, np.uint8),
        documents_D=np.zeros(len(segments), DOCUMENT_DTYPE),
        languages=NO_NAMES,
        cards=NO_NAMES,
    )
    for record, ((number, segment), (row, start, inside)) in enumerate(
        zip(segments, places, strict=True)
    ):
        length = len(segment.tokens_n)
        span = slice(start, start + length)
        split.tokens_NT[row, span] = segment.tokens_n
        split.segments_NT[row, span] = inside
        split.supervised_NT[row, span] = segment.supervised_n
        supervised = int(segment.supervised_n.sum())
        split.documents_D[record] = (
            *(number, row, start, length, supervised, segment.supervised_bytes),
            *(0, 0),
        )
    return split
