"""From hidden states to the loss without ever holding the logits.

The logits of 2048 tokens over 49152 words are 403 MB, and a plain loss keeps several copies. Here
a chunk of logits lives in one buffer; in training the gradient of the hidden states is computed
in the forward pass, from the same buffer, so that nothing of the chunk is kept.

Legend: S supervised tokens, E hidden width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

CHUNK_BYTES = 64 * 2**20


def chunked_nll(hidden_SE: Tensor, weight_VE: Tensor, targets_S: Tensor) -> Tensor:
    """Return the negative log-likelihood (nats, float32) of each target.

    Differentiable in the hidden states, once; the head's weight gets no gradient.
    """
    nll_S: Tensor = _ChunkedNll.apply(hidden_SE, weight_VE, targets_S)
    return nll_S


def head_nll(
    hidden_SE: Tensor, head: Callable[[Tensor], Tensor], targets_S: Tensor, *, vocabulary: int
) -> Tensor:
    """Return the same for any head (with LoRA, soft cap, bias): chunks are recomputed backward."""

    def one_chunk(hidden: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(head(hidden).float(), targets, reduction="none")

    rows = chunk_rows(vocabulary)
    pieces = []
    for start in range(0, max(len(targets_S), 1), rows):
        hidden, targets = hidden_SE[start : start + rows], targets_S[start : start + rows]
        if torch.is_grad_enabled():
            pieces.append(checkpoint(one_chunk, hidden, targets, use_reentrant=False))
        else:
            pieces.append(one_chunk(hidden, targets))
    return torch.cat(pieces)


def chunk_rows(vocabulary: int) -> int:
    """Return how many tokens have CHUNK_BYTES of float32 logits."""
    return max(1, CHUNK_BYTES // (4 * vocabulary))


def is_plain_head(head: nn.Module) -> bool:
    """Whether the head is a frozen linear layer without bias, as `chunked_nll` needs it."""
    return type(head) is nn.Linear and head.bias is None and not head.weight.requires_grad


class _ChunkedNll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_SE: Tensor, weight_VE: Tensor, targets_S: Tensor) -> Tensor:
        count, vocabulary = len(targets_S), weight_VE.shape[0]
        rows = min(chunk_rows(vocabulary), max(count, 1))
        nll_S = torch.empty(count, dtype=torch.float32, device=hidden_SE.device)
        grad_SE = torch.empty_like(hidden_SE) if ctx.needs_input_grad[0] else None
        buffer = torch.empty(rows, vocabulary, dtype=hidden_SE.dtype, device=hidden_SE.device)
        for start in range(0, count, rows):
            part = slice(start, min(start + rows, count))
            targets = targets_S[part, None]
            logits = torch.mm(hidden_SE[part], weight_VE.T, out=buffer[: len(targets)]).float()
            wanted = logits.gather(1, targets)
            top = logits.amax(1, keepdim=True)
            exp = logits.sub_(top).exp_()
            total = exp.sum(1, keepdim=True)
            nll_S[part] = (total.log() + top - wanted)[:, 0]
            if grad_SE is not None:
                # d nll / d logits = softmax - onehot; the division by the total comes after the
                # product, where it is E wide and not V
                torch.mm(exp.to(weight_VE.dtype), weight_VE, out=grad_SE[part])
                grad_SE[part].div_(total.to(grad_SE.dtype))
                grad_SE[part].sub_(weight_VE.index_select(0, targets[:, 0]))
        ctx.grad_SE = grad_SE
        return nll_S

    @staticmethod
    def backward(ctx: Any, grad_S: Tensor) -> tuple[Tensor | None, ...]:
        grad_SE = ctx.grad_SE
        ctx.grad_SE = None
        return grad_SE.mul_(grad_S[:, None].to(grad_SE.dtype)), None, None
