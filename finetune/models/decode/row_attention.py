"""Attention of one forward pass that holds a token of each writing row, then whole prompts.

Registered with transformers as an attention implementation. The tokens of all rows lie in one flat
sequence, so that a prompt enters in the same pass in which the others write, and nothing is padded.
A shared prefix is read once for all rows: its scores stand before those of a row's own tokens in
one softmax.

Legend: S tokens of the pass, R writing rows, A query heads, H key heads, G = A / H, D head width,
P tokens of the prefix, W own tokens of the longest row, T tokens of a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from finetune.models.decode.row_cache import RowCache

NAME = "finetune_rows"


@dataclass(frozen=True, slots=True)
class Entering:
    """A prompt whose tokens are in the pass."""

    row: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Pass:
    """Contents of one forward pass, the tokens of rows 0 to R - 1 first.

    The layers of a model may be on several devices.
    """

    cache: RowCache
    positions_R: Tensor
    """Place of each row's token among the row's own tokens."""
    width: int
    """W, known to the host so that no device is asked."""
    entering: Sequence[Entering] = ()
    _places: dict[torch.device, Tensor] = field(default_factory=dict)
    _masks: dict[tuple[torch.device, int | None], Tensor] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Return R."""
        return len(self.positions_R)

    def positions_on(self, device: torch.device) -> Tensor:
        """Return `positions_R` on the device of a layer."""
        if device not in self._places:
            self._places[device] = self.positions_R.to(device)
        return self._places[device]

    def mask(self, window: int | None, device: torch.device) -> Tensor:
        """Return what is added to scores, (R,1,1,P+W): 0 where a row looks, else -inf."""
        if (device, window) not in self._masks:
            prefix = self.cache.prefix_tokens
            at = torch.arange(prefix + self.width, device=device)
            now_R1 = self.positions_on(device)[:, None] + prefix
            hidden = at > now_R1
            if window is not None:
                hidden |= at <= now_R1 - window
            mask = torch.zeros(hidden.shape, device=device).masked_fill_(hidden, -torch.inf)
            self._masks[device, window] = mask[:, None, None]
        return self._masks[device, window]


def register() -> None:
    """Make the implementation known to transformers; doing it twice is harmless."""
    AttentionInterface.register(NAME, row_attention_forward)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def row_attention_forward(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _attention_mask: Tensor | None,
    *,
    rows_pass: Pass,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Keep keys and values of (1,H,S,D), attend from (1,A,S,D); the result is (1,S,A,D).

    The pass comes through the model's keyword arguments; the mask is not looked at.
    """
    scale = settings.get("scaling") or query.shape[-1] ** -0.5
    window = settings.get("sliding_window")
    queries, new_keys, new_values = (x[0].transpose(0, 1) for x in (query, key, value))
    cache, rows, layer = rows_pass.cache, rows_pass.rows, int(module.layer_idx)
    keys, values = cache.layer(layer, new_keys[0])
    shared = None
    if cache.prefix is not None:
        shared = tuple(x[0] for x in cache.prefix.layer(layer, new_keys[0]))
    out = torch.empty_like(queries, memory_format=torch.contiguous_format)
    if rows:
        positions_R = rows_pass.positions_on(query.device)
        place = (torch.arange(rows, device=query.device), slice(None), positions_R)
        keys[place], values[place] = new_keys[:rows], new_values[:rows]
        seen = (slice(rows), slice(None), slice(rows_pass.width))
        out[:rows] = _one_token_each(
            queries[:rows] * scale,
            keys[seen],
            values[seen],
            shared,
            rows_pass.mask(window, query.device),
        )
    start = rows
    for one in rows_pass.entering:
        part = slice(start, start + one.tokens)
        keys[one.row, :, : one.tokens] = key[0, :, part]
        values[one.row, :, : one.tokens] = value[0, :, part]
        out[part] = _whole_prompt(
            query[:, :, part], key[:, :, part], value[:, :, part], shared, scale, window
        )
        start += one.tokens
    return out[None], None


def _one_token_each(
    query_RAD: Tensor,
    keys_RHWD: Tensor,
    values_RHWD: Tensor,
    shared: tuple[Tensor, ...] | None,
    mask: Tensor,
) -> Tensor:
    rows, heads, width = len(keys_RHWD), keys_RHWD.shape[1], query_RAD.shape[-1]
    query_RHGD = query_RAD.reshape(rows, heads, -1, width)
    scores = query_RHGD @ keys_RHWD.transpose(-1, -2)
    if shared is None:
        weights = torch.softmax(scores.float().add_(mask), dim=-1).to(scores.dtype)
        return (weights @ values_RHWD).reshape(query_RAD.shape)
    keys_HPD, values_HPD = shared
    prefix = keys_HPD.shape[1]
    of_prefix = _by_head(query_RHGD) @ keys_HPD.transpose(-1, -2)
    scores = torch.cat([_by_row(of_prefix, rows), scores], dim=-1)
    weights = torch.softmax(scores.float().add_(mask), dim=-1).to(scores.dtype)
    out = weights[..., prefix:] @ values_RHWD
    out += _by_row(_by_head(weights[..., :prefix]) @ values_HPD, rows)
    return out.reshape(query_RAD.shape)


def _by_head(x_RHGN: Tensor) -> Tensor:
    """Return (H, R*G, N): one product per head serves every row."""
    return x_RHGN.transpose(0, 1).flatten(1, 2)


def _by_row(x: Tensor, rows: int) -> Tensor:
    return x.unflatten(1, (rows, -1)).transpose(0, 1)


def _whole_prompt(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    shared: tuple[Tensor, ...] | None,
    scale: float,
    window: int | None,
) -> Tensor:
    """Return the attention (T,A,D) of a prompt (1,A,T,D) to the prefix and to itself."""
    prefix = 0
    if shared is not None:
        key, value = (torch.cat([a[None], b], 2) for a, b in zip(shared, (key, value), strict=True))
        prefix = shared[0].shape[1]
    tokens = key.shape[2]
    mask = None
    if prefix or (window is not None and tokens > window):
        at = torch.arange(tokens, device=key.device)
        distance = at[prefix:, None] - at
        mask = distance >= 0
        if window is not None:
            mask &= distance < window
    out = scaled_dot_product_attention(
        query, key, value, mask, is_causal=mask is None, scale=scale, enable_gqa=True
    )
    return out[0].transpose(0, 1)
