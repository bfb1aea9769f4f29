"""Tokens of a vocabulary: whole characters, or fragments of them.

Three kinds: `bytes` (byte-level BPE: a token is any run of bytes), `byte fallback` (characters
without a token are spelled `<0xE1> <0x88> <0xB0>`) and `closed` (they become an unknown token, and
are lost). A piece is a token whose bytes alone are no whole characters, of whichever kind.

Legend: V tokens of the vocabulary, N texts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["bytes", "byte fallback", "closed"]
TOKENS, PIECES, BROKEN, UNKNOWN = range(4)
"""Columns of `count`: tokens; those that are pieces; characters that are split;
unknown tokens."""
_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A tokenizer (of the `tokenizers` library) and what its tokens spell."""

    tokenizer: Any
    kind: Kind
    size: int
    fingerprint: str
    """SHA-256 of the tokenizer's definition: equal for equal tokenizers."""
    pieces_V: NDArray[np.bool_]
    begun_V: NDArray[np.int64]
    """Characters that a token begins and does not finish."""
    unknown_id: int | None
    _whole: dict[str, bool] = field(default_factory=dict)

    def count(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return tokens, pieces, broken characters and unknown tokens of each text, (N, 4).

        Without the marks that a model wants around a text.
        """
        counts = np.zeros((len(texts), 4), dtype=np.int64)
        encoded = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        for row, encoding in zip(counts, encoded, strict=True):
            ids = np.array(encoding.ids, dtype=np.int64)
            row[TOKENS] = len(ids)
            row[PIECES] = np.count_nonzero(self.pieces_V[ids])
            row[BROKEN] = self.begun_V[ids].sum()
            if self.unknown_id is not None:
                row[UNKNOWN] = np.count_nonzero(ids == self.unknown_id)
        return counts

    def has(self, letter: str) -> bool:
        """Return whether a single letter is tokenized without fragments and unknown tokens."""
        if letter not in self._whole:
            [counts] = self.count([letter])
            self._whole[letter] = not counts[PIECES] and not counts[UNKNOWN]
        return self._whole[letter]


def vocabulary_of(tokenizer: Any) -> Vocabulary:
    """Return the vocabulary of a tokenizer of the `tokenizers` library.

    A tokenizer.json may ask for truncation or padding; both are taken off.
    """
    tokenizer.no_truncation()
    tokenizer.no_padding()
    definition = tokenizer.to_str()
    parts = json.loads(definition)
    kind = kind_of(parts)
    added = tokenizer.get_added_tokens_decoder()
    tokens = tokenizer.get_vocab(with_added_tokens=True)
    size = max(tokens.values(), default=-1) + 1
    pieces_V, begun_V = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.int64)
    for token, number in tokens.items():
        # what was added is written as it is, also where all else is written in byte letters
        if kind != "bytes" or number not in added:
            pieces_V[number], begun_V[number] = unfinished(spelled(token, kind))
    return Vocabulary(
        tokenizer=tokenizer,
        kind=kind,
        size=len(tokens),
        fingerprint=hashlib.sha256(definition.encode()).hexdigest(),
        pieces_V=pieces_V,
        begun_V=begun_V,
        unknown_id=None if kind == "bytes" else _unknown(parts["model"], tokens),
    )


def spelled(token: str, kind: Kind) -> bytes:
    """Return the bytes that a token of the vocabulary stands for.

    >>> spelled("<0xE1>", "byte fallback"), spelled("Ġna", "bytes"), spelled("à¤", "bytes")
    (b'\\xe1', b' na', b'\\xe0\\xa4')
    """
    if kind == "byte fallback" and (match := _FALLBACK.fullmatch(token)):
        return bytes([int(match[1], 16)])
    if kind == "bytes" and all(letter in _BYTE_OF for letter in token):
        return bytes(_BYTE_OF[letter] for letter in token)
    return token.encode()


def unfinished(data: bytes) -> tuple[bool, int]:
    """Return whether bytes are no whole characters, and how many they begin without an end.

    >>> unfinished("aé".encode()), unfinished(b"a\\xe0\\xa4"), unfinished(b"\\xa4")
    ((False, 0), (True, 1), (True, 0))
    """
    whole = data.decode(errors="ignore").encode()
    return whole != data, _leads(data) - _leads(whole)


def _leads(data: bytes) -> int:
    return sum(byte >= 0xC0 for byte in data)


def _byte_letters() -> dict[str, int]:
    """Return the letter by which byte-level vocabularies write each byte (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    shifted = {chr(256 + number): byte for number, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | shifted


_BYTE_OF = _byte_letters()


def kind_of(parts: Mapping[str, Any]) -> Kind:
    """Return the kind of a tokenizer from the content of its tokenizer.json."""
    if '"ByteLevel"' in json.dumps([parts.get("pre_tokenizer"), parts.get("decoder")]):
        return "bytes"
    return "byte fallback" if parts["model"].get("byte_fallback") else "closed"


def _unknown(model: dict[str, Any], tokens: dict[str, int]) -> int | None:
    number = model.get("unk_id")  # Unigram
    return number if number is not None else tokens.get(str(model.get("unk_token")))
