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
