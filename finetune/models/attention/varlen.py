"""Attention within documents by torch's flash attention for sequences of any length."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.attention.varlen import varlen_attn

from finetune.models.attention.packed_batch import Documents
from finetune.models.attention.softmax import Scores


def attend_by_varlen(
    query: Tensor, key: Tensor, value: Tensor, documents: Documents, scores: Scores
) -> Tensor:
    """Return (1,S,H,D) for (1,H,S,D): no mask, and keys are not repeated for their query heads."""
    left = -1
    if scores.window is not None and scores.cuts(documents.longest):
        left = scores.window - 1
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    out: Any = varlen_attn(
        q,
        k,
        v,
        documents.starts,
        documents.starts,
        documents.longest,
        documents.longest,
        scale=scores.scale,
        window_size=(left, 0),
        enable_gqa=True,
    )
    out_SHD: Tensor = out  # a pair only where more is asked for
    return out_SHD[None]
