"""Text -> token ids, supervised positions, and bytes of target text.

n is the number of tokens of a document. The tokens of a whole document are the tokenizer's own on
its whole text. Only where a token would reach across the border between prompt and answer is the
text cut there, so that a prompt has the same tokens in training as when the model is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.models.template import Piece, opening, special_ids


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tokens of one segment: a document, or a part of a split one."""

    tokens_n: NDArray[np.uint32]
    supervised_n: NDArray[np.uint8]
    """1 where the token is a target; never on the first one, which nothing predicts."""
    supervised_bytes: int
    """UTF-8 bytes of text that the supervised tokens spell; control marks spell none."""


@dataclass(frozen=True, slots=True)
class _Spelled:
    """Tokens with the bytes of text that each one spells."""

    tokens_n: NDArray[np.uint32]
    supervised_n: NDArray[np.uint8]
    bytes_n: NDArray[np.int64]

    def part(self, begin: int, end: int) -> Encoded:
        supervised_n = self.supervised_n[begin:end].copy()
        supervised_n[:1] = 0
        return Encoded(
            tokens_n=self.tokens_n[begin:end],
            supervised_n=supervised_n,
            supervised_bytes=int(self.bytes_n[begin:end][supervised_n == 1].sum()),
        )


class Encoder:
    """Encodes pieces with one tokenizer; it owns the tokenizer's truncation and padding state."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.backend = tokenizer.backend_tokenizer
        # a tokenizer.json may ask for truncation, which would lose text silently
        self.backend.no_truncation()
        self.backend.no_padding()
        self.opening = opening(tokenizer)
        self.special = np.array(special_ids(tokenizer), dtype=np.uint32)

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, without any mark around it."""
        return len(self.backend.encode(text, add_special_tokens=False).ids)

    def document(self, pieces: Sequence[Piece], *, row_tokens: int) -> list[Encoded]:
        """Return the segments of a document: one if it fits into a sequence of `row_tokens`.

        A longer one is cut. Each later segment repeats the last token of the one before as
        context, which is no target there: every token is predicted exactly once.
        """
        spelled = self._spelled(pieces)
        length = len(spelled.tokens_n)
        segments = [spelled.part(0, min(length, row_tokens))]
        begin = row_tokens - 1
        while begin + 1 < length:
            segments.append(spelled.part(begin, min(length, begin + row_tokens)))
            begin += row_tokens - 1
        return segments

    def _spelled(self, pieces: Sequence[Piece]) -> _Spelled:
        text = "".join(piece for piece, _ in pieces)
        cuts = np.cumsum([len(piece) for piece, _ in pieces])[:-1].tolist()
        ids, ends, borders = self._tokens(text, cuts)
        marked = self.opening and text.startswith(self.tokenizer.bos_token)
        opened = [] if marked else self.opening
        tokens_n = np.array([*opened, *ids], dtype=np.uint32)
        supervised_n = np.zeros(len(tokens_n), dtype=np.uint8)
        starts = [0, *borders, len(ids)]
        for (_, wanted), begin, end in zip(pieces, starts[:-1], starts[1:], strict=True):
            supervised_n[len(opened) + begin : len(opened) + end] = wanted
        supervised_n[:1] = 0
        bytes_n = np.concatenate([np.zeros(len(opened), np.int64), _bytes_of(text, ends)])
        bytes_n[np.isin(tokens_n, self.special)] = 0
        return _Spelled(tokens_n, supervised_n, bytes_n)

    def _tokens(self, text: str, cuts: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
        """Return ids, the character where each ends, and how many ids lie before each cut."""
        whole = self.backend.encode(text, add_special_tokens=False)
        ids = list(whole.ids)
        borders: list[int] = []
        for number, cut in enumerate(cuts):
            before = self.backend.encode(text[:cut], add_special_tokens=False).ids
            if ids[: len(before)] != before:  # a token reaches across: cut here
                left = self._tokens(text[:cut], cuts[:number])
                right = self._tokens(text[cut:], [c - cut for c in cuts[number + 1 :]])
                count = len(left[0])
                return (
                    left[0] + right[0],
                    left[1] + [cut + end for end in right[1]],
                    [*left[2], count, *(count + border for border in right[2])],
                )
            borders.append(len(before))
        return ids, _ends(whole.offsets, len(text)), borders


def _ends(offsets: Sequence[tuple[int, int]], length: int) -> list[int]:
    """Return the character where each token ends.

    Tokens that share a character (parts of its bytes) all but the last end before it. Space that
    the tokenizer omits in its offsets belongs to the token after it.
    """
    ends = [min(end, after[0]) for (_, end), after in pairwise(offsets)]
    return [*ends, length] if offsets else []


def _bytes_of(text: str, ends: Sequence[int]) -> NDArray[np.int64]:
    """Return the UTF-8 bytes of text between the end of the token before and of each token."""
    codepoints = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    sizes = 1 + (codepoints >= 0x80) + (codepoints >= 0x800) + (codepoints >= 0x10000)
    until = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    at = np.maximum.accumulate(np.array(ends, dtype=np.int64)) if ends else np.zeros(0, np.int64)
    return np.diff(until[at], prepend=0)
