"""Packed sequences on disk, written by `prepare` and read by `train` and `evaluate`.

A split is a folder:

    tokens.npy      uint32 (N, T)  token ids, rows padded with 0
    segments.npy    int32  (N, T)  1, 2, ... number of the document within its row; 0 is padding
    supervised.npy  uint8  (N, T)  1 where the token is a training target (predicted from the
                                   token before it); the first token of a segment never is
    documents.npy   structured (D,) one record a segment, ordered by (row, start): DOCUMENT_DTYPE
    ledger_lines.npy  int64 (documents,)  (train) line of each document in ledger.jsonl, from 0
    items.jsonl     (validation, test) one object a segment, same order as documents.npy:
                    {"id", "card", "language", "prompt", "reference", "source"}

Positions restart at 0 in every segment (`segment_positions`). A split document gives several
segments with one `document` number. N rows, T tokens per row, D segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.prepared_items import PreparedItems
from finetune.mix.allocate import Subset

LEDGER_LINES = "ledger_lines.npy"
DOCUMENT_DTYPE = np.dtype(
    [
        ("document", "<i8"),  # number of the document within the split, by content hash order
        ("row", "<i4"),
        ("start", "<i4"),  # first token within the row
        ("length", "<i4"),  # tokens
        ("supervised_tokens", "<i4"),
        ("supervised_bytes", "<i4"),  # UTF-8 bytes of the text that the supervised tokens spell
        ("language", "<i2"),  # index into PackedSplit.languages
        ("card", "<i2"),  # index into PackedSplit.cards
    ]
)


@dataclass(frozen=True, slots=True)
class PackedSplit:
    """A split opened for reading; arrays are memory maps."""

    tokens_NT: NDArray[np.uint32]
    segments_NT: NDArray[np.int32]
    supervised_NT: NDArray[np.uint8]
    documents_D: NDArray[np.void]
    languages: tuple[str, ...]
    cards: tuple[str, ...]

    @property
    def num_rows(self) -> int:
        """Number of rows N."""
        return int(self.tokens_NT.shape[0])

    @property
    def sequence_tokens(self) -> int:
        """Length of a row T in tokens."""
        return int(self.tokens_NT.shape[1])

    def tokens_of(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the tokens of each of these rows (or of all), without padding."""
        segments_NT = self.segments_NT if rows is None else self.segments_NT[rows]
        return (segments_NT > 0).sum(axis=1, dtype=np.int64)

    def supervised_tokens_of(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the supervised tokens of each of these rows (or of all)."""
        supervised_NT = self.supervised_NT if rows is None else self.supervised_NT[rows]
        return supervised_NT.sum(axis=1, dtype=np.int64)

    def token_ids_of(self, record: int) -> list[int]:
        """Return the token ids of a record of `documents_D`, in the order of its text."""
        found = self.documents_D[record]
        start = int(found["start"])
        row = self.tokens_NT[int(found["row"])]
        return [int(token) for token in row[start : start + int(found["length"])]]

    def target_ids_of(self, record: int) -> list[int]:
        """Return the token ids of a record of `documents_D` that spell its target text.

        The supervised ones, and the first token of a text without a prompt: it is no target only
        because nothing predicts it.
        """
        found = self.documents_D[record]
        inside = slice(int(found["start"]), int(found["start"]) + int(found["length"]))
        row = int(found["row"])
        is_target = self.supervised_NT[row][inside] == 1
        is_target[:1] |= is_target[1:2]
        return [int(token) for token in self.tokens_NT[row][inside][is_target]]


def open_split(
    directory: Path, *, languages: tuple[str, ...], cards: tuple[str, ...]
) -> PackedSplit:
    """Open a split folder for reading; nothing is loaded until it is touched."""
    return PackedSplit(
        tokens_NT=np.load(directory / "tokens.npy", mmap_mode="r", allow_pickle=False),
        segments_NT=np.load(directory / "segments.npy", mmap_mode="r", allow_pickle=False),
        supervised_NT=np.load(directory / "supervised.npy", mmap_mode="r", allow_pickle=False),
        documents_D=np.load(directory / "documents.npy", allow_pickle=False),
        languages=languages,
        cards=cards,
    )


def subsets_of(split: PreparedItems) -> list[Subset]:
    """Return what a split holds of each language and card, in that order of names.

    A sequence counts for each subset that has a segment in it; with a mixture that is one
    (prepare.packing.pack).
    """
    documents_D = split.documents_D
    keys = documents_D["language"].astype(np.int64) * len(split.cards) + documents_D["card"]
    found = []
    for key in np.unique(keys):
        inside = documents_D[keys == key]
        language, card = divmod(int(key), len(split.cards))
        found.append(
            Subset(
                language=split.languages[language],
                card=split.cards[card],
                rows=len(np.unique(inside["row"])),
                tokens=int(inside["length"].sum()),
                bytes=int(inside["supervised_bytes"].sum(dtype=np.int64)),
            )
        )
    return sorted(found, key=lambda subset: (subset.language, subset.card))


def segment_positions(segments_NT: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return positions that restart in every segment.

    >>> segment_positions(np.array([[1, 1, 2, 2, 2, 0]])).tolist()
    [[0, 1, 0, 1, 2, 0]]
    """
    index_T = np.arange(segments_NT.shape[1])
    starts_NT = np.ones_like(segments_NT, dtype=bool)
    starts_NT[:, 1:] = segments_NT[:, 1:] != segments_NT[:, :-1]
    begin_NT = np.maximum.accumulate(np.where(starts_NT, index_T, 0), axis=1)
    return index_T - begin_NT
