"""Bits per byte: how many bits a model needs for one UTF-8 byte of held-out text; lower is better.

bits per byte = sum of token losses in nats / ln 2 / bytes that the tokens spell. It does not depend
on the tokenizer, so models with different vocabularies can be compared (Gao et al. 2020, The Pile).

Legend: D segments of a split, S selected records (indices into D), N documents, K statistics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.packed_split import PackedSplit
from finetune.evaluate.scores import Pair, Subject, pair_of
from finetune.spec.recipe import Evaluate
from finetune.statistics.bootstrap import ratio_of_sums

METRIC = "bits_per_byte"


def choose_documents(split: PackedSplit, *, max_documents: int) -> dict[str, NDArray[np.int64]]:
    """Return per language the records of its first `max_documents` documents.

    Documents are numbered in the order of their content hash, so the first ones are a random
    sample that is the same every time. All segments of a split document go together. Segments
    that spell no text are left out.
    """
    chosen: dict[str, NDArray[np.int64]] = {}
    documents_D = split.documents_D
    for index, language in enumerate(split.languages):
        spells = (documents_D["language"] == index) & (documents_D["supervised_bytes"] > 0)
        records_S = np.flatnonzero(spells)
        numbers = np.unique(documents_D["document"][records_S])[:max_documents]
        if len(numbers):
            wanted = np.isin(documents_D["document"][records_S], numbers)
            chosen[language] = records_S[wanted]
    return chosen


def document_bits(
    split: PackedSplit, records_S: NDArray[np.int64], nll_S: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return bits and bytes of each document (N, 2), in the order of document numbers.

    The segments of a split document are added up: resampling must draw whole documents, because
    parts of one text are not independent.
    """
    records = split.documents_D[records_S]
    numbers, document_S = np.unique(records["document"], return_inverse=True)
    bits_N = np.bincount(document_S, weights=nll_S, minlength=len(numbers)) / math.log(2)
    bytes_N = np.bincount(document_S, weights=records["supervised_bytes"], minlength=len(numbers))
    return np.stack([bits_N, bytes_N], axis=1)


def compare_compression(
    base: Mapping[str, NDArray[np.float64]],
    adapter: Mapping[str, NDArray[np.float64]],
    *,
    phase: str | None,
    signature: str,
    settings: Evaluate,
) -> list[Pair]:
    """Compare base and adapter language by language.

    Both hold bits and bytes of the same documents in the same order (`document_bits`).
    """
    return [
        pair_of(
            base_NK,
            adapter[language],
            subject=Subject(METRIC, language, None, phase, signature),
            score=ratio_of_sums,
            higher_is_better=False,
            settings=settings,
        )
        for language, base_NK in base.items()
    ]
