"""Keys and values of the rows of a batch, allocated once; a row that ends gives its place away.

Legend: R rows, H key heads, W tokens of a row at most, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from finetune.sizing.evaluation_need import CACHE_BYTES


@dataclass(slots=True)
class RowCache:
    """Keys and values of `rows` rows of at most `width` tokens, behind those of a shared prefix."""

    rows: int
    width: int
    prefix: RowCache | None = None
    """One row; all others follow it."""
    _kv_2RHWD: dict[int, Tensor] = field(default_factory=dict, init=False)
    """By layer, on its device."""

    @property
    def prefix_tokens(self) -> int:
        """Return the length of the prefix."""
        return 0 if self.prefix is None else self.prefix.width

    def layer(self, number: int, like_HD: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values (R,H,W,D) of a layer, to be written into.

        `like_HD`, the keys of any token, has the shape and the kind of what is kept.
        """
        if number not in self._kv_2RHWD:
            heads, width = like_HD.shape
            # Zeros, since what a row has not written yet is multiplied by a weight of 0.
            self._kv_2RHWD[number] = like_HD.new_zeros(2, self.rows, heads, self.width, width)
        keys, values = self._kv_2RHWD[number]
        return keys, values

    def move(self, *, source: int, target: int, tokens: int) -> None:
        """Copy the first tokens of a row over those of another."""
        for kv_2RHWD in self._kv_2RHWD.values():
            kv_2RHWD[:, target, :, :tokens] = kv_2RHWD[:, source, :, :tokens]


def rows_within(causal: Any, *, width: int, rows: int) -> int:
    """Return how many rows of a width have room in the cache: at least 1, at most `rows`."""
    text = causal.config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    token_bytes = text.num_hidden_layers * 2 * heads * size * causal.dtype.itemsize
    room_bytes = CACHE_BYTES[torch.device(causal.device).type]
    return max(1, min(rows, room_bytes // (token_bytes * width)))
