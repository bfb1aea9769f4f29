"""Attention within documents by the CPU's flash attention: a call per document, without a mask.

A packed sequence of 512 tokens with documents of 40 needs 13 small squares of scores, not one big
square.

Legend: B=1 batch, S tokens of all documents, H query heads, D head width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from finetune.models.attention.softmax import Scores, seen

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def attend_by_document(
    query: Tensor, key: Tensor, value: Tensor, lengths: tuple[int, ...], scores: Scores
) -> Tensor:
    """Return (1,S,H,D) for (1,H,S,D); `lengths` sum to S."""
    if not scores.cuts(max(lengths)) and query.shape[-1] == value.shape[-1]:
        out: Tensor = _DocumentAttention.apply(query, key, value, lengths, scores.scale)
        return out
    outputs = []
    for start, length in _spans(lengths):
        q, k, v = (x[:, :, start : start + length] for x in (query, key, value))
        mask = seen(length, scores.window, device=q.device) if scores.cuts(length) else None
        out = scaled_dot_product_attention(
            q, k, v, mask, 0.0, mask is None, scale=scores.scale, enable_gqa=True
        )
        outputs.append(out.transpose(1, 2))
    return torch.cat(outputs, dim=1)


class _DocumentAttention(torch.autograd.Function):
    """Flash attention (Dao et al. 2022) of the CPU, document by document, into one result."""

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
