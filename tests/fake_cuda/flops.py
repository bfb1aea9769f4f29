"""FLOPs of an operator by shapes alone, also where torch's own formulas read values."""

from __future__ import annotations

from typing import Any

import bitsandbytes  # noqa: F401  defines the operators of 4 bit
import torch
import torch.nn.attention.varlen  # defines its operator
from torch import Tensor
from torch.utils.flop_counter import flop_registry

aten, bnb, varlen = torch.ops.aten, torch.ops.bitsandbytes, torch.ops.torch_attn
BACKWARD = 2.5
"""FLOPs of flash attention's backward pass per FLOP of its forward pass (Dao et al. 2022)."""
ATTENTION = {
    varlen._varlen_attn: (0, 5, 1.0),
    varlen._varlen_attn_backward: (1, 8, BACKWARD),
    aten._flash_attention_forward: (0, 5, 1.0),
    aten._flash_attention_backward: (1, 8, BACKWARD),
    aten._efficient_attention_forward: (0, 6, 1.0),
    aten._efficient_attention_backward: (1, 7, BACKWARD),
}
"""Positions of queries and of the longest document among the arguments, and a factor."""


def flops_of(packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, result: Any) -> float:
    """Return the FLOPs of one call; 0 for what is no product.

    Attention by documents is counted as if all were as long as the longest, half of it masked.
    """
    if packet in ATTENTION:
        queries, longest, factor = ATTENTION[packet]
        tokens, heads, width = args[queries].shape[-3:]
        return float(factor * 2 * heads * width * tokens * int(args[longest]))
    if packet is bnb.gemm_4bit:
        return float(2 * args[0].numel() * args[2][0])
    if packet is aten._grouped_mm:
        return _grouped(args[0], args[1])
    formula = flop_registry.get(packet)
    return float(formula(*args, **kwargs, out_val=result)) if formula else 0.0


def is_attention(packet: Any) -> bool:
    """Return whether an operator is one of attention as a whole."""
    return packet in ATTENTION or "attention" in packet.__name__


def _grouped(first: Tensor, second: Tensor) -> float:
    """Each token meets one expert; in a gradient of weights both have tokens as a dimension."""
    if first.ndim == second.ndim == 2:
        return float(2 * first.shape[0] * first.shape[1] * second.shape[1])
    return float(2 * first.numel() * second.shape[-1])
