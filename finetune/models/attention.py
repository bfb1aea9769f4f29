"""Attention within documents: one causal kernel call per document, without a mask.

A packed sequence of 512 tokens with documents of 40 needs 13 small squares of scores, not one big
square. Registered with transformers as an attention implementation; without `segment_lengths`
(generation) a call is passed on to transformers' own SDPA.

Legend: B=1 batch, S tokens of all documents, H query heads, K key heads, D head width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from finetune.errors import TrainError
from finetune.messages import problem

NAME = "finetune_segments"

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def register() -> None:
    """Make the implementation known to transformers; doing it twice is harmless."""
    AttentionInterface.register(NAME, segment_attention_forward)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def segment_attention_forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Attend within segments; query is (1,H,S,D), the result (1,S,H,D).

    `segment_lengths` (a tuple that sums to S) comes through the model's keyword arguments. The
    mask is then not looked at. `sliding_window` is honoured for segments that are longer.
    """
    lengths = settings.pop("segment_lengths", None)
    if lengths is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
    unknown = [k for k in ("softcap", "position_bias", "s_aux") if settings.get(k) is not None]
    if unknown:
        raise TrainError(
            problem(
                "unsupported-attention",
                "attention per document does not support {settings} of {module}; choose another "
                "base",
                settings=unknown,
                module=type(module).__name__,
            )
        )
    scale = settings.get("scaling") or query.shape[-1] ** -0.5
    window = settings.get("sliding_window")
    dropout = settings.get("dropout", 0.0)
    fits = window is None or max(lengths) <= window
    same_width = query.shape[-1] == value.shape[-1]
    if fits and same_width and not dropout and query.device.type == "cpu":
        return _SegmentAttention.apply(query, key, value, lengths, scale), None
    outputs = []
    for start, length in _spans(lengths):
        q, k, v = (x[:, :, start : start + length] for x in (query, key, value))
        mask = None if window is None or length <= window else _band(length, window, query.device)
        out = scaled_dot_product_attention(
            q, k, v, mask, dropout, mask is None, scale=scale, enable_gqa=True
        )
        outputs.append(out.transpose(1, 2))
    return torch.cat(outputs, dim=1), None


class _SegmentAttention(torch.autograd.Function):
    """Flash attention (Dao et al. 2022) of the CPU, segment by segment, into one result."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, lengths: tuple[int, ...], scale: float
    ) -> Tensor:
        _, heads, total, width = query.shape
        out = query.new_empty(1, total, heads, width)
        logsumexp = []
        for start, length in _spans(lengths):
            end = start + length
            part, lse = _forward(
                query[:, :, start:end],
                key[:, :, start:end],
                value[:, :, start:end],
                0.0,
                True,
                scale=scale,
            )
            out[:, start:end] = part.transpose(1, 2)
            logsumexp.append(lse)
        ctx.save_for_backward(query, key, value, out, *logsumexp)
        ctx.lengths, ctx.scale = lengths, scale
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, *logsumexp = ctx.saved_tensors
        # (1,S,H,D) underneath, so that what follows (rotary, projections) reads in order
        grads = [x.new_empty(x.transpose(1, 2).shape).transpose(1, 2) for x in (query, key, value)]
        grad, out = grad.transpose(1, 2), out.transpose(1, 2)
        for (start, length), lse in zip(_spans(ctx.lengths), logsumexp, strict=True):
            part = (..., slice(start, start + length), slice(None))
            found = _backward(
                grad[part],
                query[part],
                key[part],
                value[part],
                out[part],
                lse,
                0.0,
                True,
                scale=ctx.scale,
            )
            for whole, piece in zip(grads, found, strict=True):
                whole[part] = piece
        return *grads, None, None


def _spans(lengths: tuple[int, ...]) -> list[tuple[int, int]]:
    spans, start = [], 0
    for length in lengths:
        spans.append((start, length))
        start += length
    return spans


def _band(length: int, window: int, device: torch.device) -> Tensor:
    index = torch.arange(length, device=device)
    distance = index[:, None] - index[None, :]
    return (distance >= 0) & (distance < window)
