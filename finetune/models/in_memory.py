"""Texts as a split in memory, one segment per packed sequence: for measures, not for training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from finetune.artefacts.packed_split import DOCUMENT_DTYPE, PackedSplit
from finetune.errors import DataError
from finetune.messages import problem
from finetune.prepare.packing.encode import Encoded, Encoder

NO_NAMES = ("",)


def split_of_texts(texts: Iterable[str], *, tokenizer: Any, sequence_tokens: int) -> PackedSplit:
    """Return plain texts as `prepare` tokenizes them: each ends with the eos token.

    D segments, each padded to T = `sequence_tokens`. A longer text has several. Raises DataError
    if no text has a token to predict.
    """
    encoder = Encoder(tokenizer)
    segments_D: list[tuple[int, Encoded]] = [
        (number, segment)
        for number, text in enumerate(texts)
        for segment in encoder.document(
            ((text + tokenizer.eos_token, True),), row_tokens=sequence_tokens
        )
        if segment.supervised_bytes
    ]
    if not segments_D:
        raise DataError(problem("no-text-to-measure", "there is no text to measure"))
    shape = (len(segments_D), sequence_tokens)
    split = PackedSplit(
        tokens_NT=np.zeros(shape, np.uint32),
        segments_NT=np.zeros(shape, np.int32),
        supervised_NT=np.zeros(shape, np.uint8),
        documents_D=np.zeros(len(segments_D), DOCUMENT_DTYPE),
        languages=NO_NAMES,
        cards=NO_NAMES,
    )
    for row, (number, segment) in enumerate(segments_D):
        length = len(segment.tokens_n)
        split.tokens_NT[row, :length] = segment.tokens_n
        split.segments_NT[row, :length] = 1
        split.supervised_NT[row, :length] = segment.supervised_n
        supervised = int(segment.supervised_n.sum())
        split.documents_D[row] = (
            *(number, row, 0, length, supervised, segment.supervised_bytes),
            *(0, 0),
        )
    return split
