"""The protocol of prepared items, used by training and evaluation."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class PreparedItems(Protocol):
    """The items of a split, which `prepare` wrote in order; item n is row n of a step's batch.

    What is inside of an item only its kind of base knows (finetune/models/kinds.py): for a causal
    language model it is a packed sequence of documents (`PackedSplit`). N items, D documents.
    """

    @property
    def documents_D(self) -> NDArray[np.void]:
        """One record per document or part of one: `packed_split.DOCUMENT_DTYPE`."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages indexed by `documents_D["language"]`."""

    @property
    def cards(self) -> tuple[str, ...]:
        """Cards indexed by `documents_D["card"]`."""

    @property
    def num_rows(self) -> int:
        """Number of items N."""

    @property
    def sequence_tokens(self) -> int:
        """Most tokens of an item."""

    def tokens_of(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the tokens of each of these items (or of all), without padding."""

    def supervised_tokens_of(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the supervised tokens of each of these items (or of all)."""

    def token_ids_of(self, record: int) -> list[int]:
        """Return the token ids of a record of `documents_D`, in the order of its text."""

    def target_ids_of(self, record: int) -> list[int]:
        """Return the token ids of a record of `documents_D` that spell its target text."""


def describe_rows(split: PreparedItems, rows: NDArray[np.int64], *, most: int = 8) -> str:
    """Return packed sequences with their cards and documents; at most `most` in full."""
    parts = []
    for row in sorted({int(r) for r in rows})[:most]:
        inside = split.documents_D[split.documents_D["row"] == row]
        cards = []
        for card in np.unique(inside["card"]):
            numbers = inside["document"][inside["card"] == card]
            listed = ", ".join(str(n) for n in numbers[:most])
            more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
            cards.append(f"{split.cards[card]} documents {listed}{more}")
        parts.append(f"packed sequence {row} ({'; '.join(cards)})")
    hidden = len({int(r) for r in rows}) - most
    return ", ".join(parts) + (f" and {hidden} more packed sequences" if hidden > 0 else "")
