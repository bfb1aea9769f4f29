"""Scored documents, and segments as items of the bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest

from finetune.artefacts.packed_split import DOCUMENT_DTYPE, PackedSplit
from finetune.evaluate.metrics import end_mark_bits
from finetune.evaluate.metrics.bits_per_byte import statistics
from finetune.evaluate.parts import choose_documents
from finetune.evaluate.tasks.held_out_text import documents_of


def _split(records: list[tuple[int, int, int]]) -> PackedSplit:
    """Make a split of (document, supervised bytes, language) records."""
    documents = np.zeros(len(records), dtype=DOCUMENT_DTYPE)
    for index, (document, size, language) in enumerate(records):
        documents[index]["document"] = document
        documents[index]["supervised_bytes"] = size
        documents[index]["language"] = language
    empty = np.zeros((0, 8), dtype=np.uint32)
    return PackedSplit(
        tokens_NT=empty,
        segments_NT=empty.astype(np.int32),
        supervised_NT=empty.astype(np.uint8),
        documents_D=documents,
        languages=("hau_Latn", "yor_Latn", "wol_Latn"),
        cards=("toy",),
    )


def test_segments_of_a_split_document_are_one_item():
    """Bits and bytes of a document's segments are added up: parts of a text are not independent."""
    split = _split([(4, 10, 0), (2, 6, 0), (4, 30, 0)])
    nats = np.array([[1.0, 0.5], [2.0, 0.25], [3.0, 0.5]]) * math.log(2)
    found = statistics(documents_of(split, np.array([0, 1, 2]), nats))
    np.testing.assert_allclose(found, [[2, 6], [4, 40]])
    marks = end_mark_bits.statistics(documents_of(split, np.array([0, 1, 2]), nats))
    np.testing.assert_allclose(marks, [[0.25, 1], [1, 1]])


def test_the_lowest_document_numbers_are_chosen_with_all_segments():
    """The bound counts documents, whole ones, by number and not by place in the rows."""
    split = _split([(9, 1, 0), (3, 1, 0), (9, 1, 0), (1, 1, 0), (3, 1, 0), (5, 1, 1)])
    chosen = choose_documents(split, max_documents=2)
    assert chosen["hau_Latn"].tolist() == [1, 3, 4]
    assert chosen["yor_Latn"].tolist() == [5]


def test_languages_without_text_are_omitted():
    """A language with no record, or none that spells a byte, has no score."""
    chosen = choose_documents(_split([(0, 0, 0), (1, 5, 1)]), max_documents=10)
    assert list(chosen) == ["yor_Latn"]


def test_bits_are_nats_over_ln_2():
    """A uniform model over 256 bytes needs exactly 8 bits a byte."""
    split = _split([(0, 7, 0)])
    nats = np.array([[7 * math.log(256), 3.0]])  # those of the end mark are not counted
    ((bits, size),) = statistics(documents_of(split, np.array([0]), nats))
    assert bits / size == pytest.approx(8)
