"""Fused output head and loss: hidden states -> loss, without materializing the logits.

The logits of 2048 tokens over 49152 words are 403 MB, and a plain loss keeps several copies. Here
a chunk of logits lives in one buffer (in half precision, and in a float32 copy); in training the
gradient of the hidden states is computed in the forward pass, from the same buffer, so that
nothing of the chunk is kept.

Legend: S supervised tokens, E hidden width, V vocabulary, N new tokens among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from finetune.models.load import kind_of_device
from finetune.models.rows import HeadRows
from finetune.sizing.policy import head_chunk_tokens


def chunked_nll(hidden_SE: Tensor, weight_VE: Tensor, targets_S: Tensor) -> Tensor:
    """Return the negative log-likelihood (nats, float32) of each target.

    Differentiable in the hidden states, once; the head's weight gets no gradient.
    """
    hidden_SE = hidden_SE.to(weight_VE.dtype)  # a norm under autocast may leave float32
    nll_S: Tensor = _ChunkedNll.apply(hidden_SE, weight_VE, targets_S, None, 0)
    return nll_S


def chunked_nll_with_rows(hidden_SE: Tensor, head: HeadRows, targets_S: Tensor) -> Tensor:
    """Return the same for a head with new rows, which get a gradient too; the rest is frozen.

    Their probabilities (S, N) are kept for it.
    """
    hidden_SE = hidden_SE.to(head.weight_VE.dtype)
    nll_S: Tensor = _ChunkedNll.apply(
        hidden_SE, head.weight_VE, targets_S, head.rows_NE, head.first
    )
    return nll_S


def head_nll(
    hidden_SE: Tensor, head: Callable[[Tensor], Tensor], targets_S: Tensor, *, vocabulary: int
) -> Tensor:
    """Return the same for any head (with LoRA, soft cap, bias): chunks are recomputed backward."""

    def one_chunk(hidden: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(head(hidden).float(), targets, reduction="none")

    rows = _chunk_tokens(vocabulary, hidden_SE)
    pieces = []
    for start in range(0, max(len(targets_S), 1), rows):
        hidden, targets = hidden_SE[start : start + rows], targets_S[start : start + rows]
        if torch.is_grad_enabled():
            pieces.append(checkpoint(one_chunk, hidden, targets, use_reentrant=False))
        else:
            pieces.append(one_chunk(hidden, targets))
    return torch.cat(pieces)


def is_plain_head(head: nn.Module) -> bool:
    """Return whether the head is a frozen linear layer without bias, as `chunked_nll` needs it."""
    kind = type(head)
    if isinstance(head, FSDPModule):  # a class made of its own and of the module's
        kind = next(base for base in kind.__bases__ if base is not FSDPModule)
    return kind is nn.Linear and head.bias is None and not head.weight.requires_grad


@contextmanager
def whole(head: nn.Module) -> Iterator[nn.Module]:
    """Give the head with its weight whole, also where FSDP splits it: its forward does not run."""
    if not isinstance(head, FSDPModule):
        yield head
        return
    head.unshard()
    try:
        yield head
    finally:
        head.reshard()


class _ChunkedNll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_SE: Tensor,
        weight_VE: Tensor,
        targets_S: Tensor,
        rows_NE: Tensor | None,
        first: int,
    ) -> Tensor:
        count, vocabulary = len(targets_S), weight_VE.shape[0]
        size = min(_chunk_tokens(vocabulary, hidden_SE), max(count, 1))
        nll_S = torch.empty(count, dtype=torch.float32, device=hidden_SE.device)
        grad_SE = torch.empty_like(hidden_SE) if ctx.needs_input_grad[0] else None
        new = None if rows_NE is None else _New.of(rows_NE, first, hidden_SE)
        buffer = hidden_SE.new_empty(size, vocabulary)
        for start in range(0, count, size):
            part = slice(start, min(start + size, count))
            targets = targets_S[part, None]
            product = torch.mm(hidden_SE[part], weight_VE.T, out=buffer[: len(targets)])
            if new is not None:
                product[:, new.columns] = hidden_SE[part] @ new.rows_NE.T
            logits = product.float()
            wanted = logits.gather(1, targets)
            top = logits.amax(1, keepdim=True)
            exp = logits.sub_(top).exp_()
            total = exp.sum(1, keepdim=True)
            nll_S[part] = (total.log() + top - wanted)[:, 0]
            if grad_SE is not None:
                # softmax - onehot is made in float32: where the model is sure of its target both
                # are nearly 1, and a product in half precision would be left with rounding alone
                share = exp.div_(total).scatter_add_(1, targets, torch.full_like(total, -1))
                if new is not None:
                    new.take_out(share, part)
                torch.mm(product.copy_(share), weight_VE, out=grad_SE[part])
                if new is not None:
                    grad_SE[part].addmm_(new.share_SN[part], new.rows_NE)
                del share
            del logits, exp  # before the next chunk's are made
        ctx.grad_SE = grad_SE
        if new is not None:
            ctx.save_for_backward(hidden_SE, new.share_SN)
        return nll_S

    @staticmethod
    def backward(ctx: Any, grad_S: Tensor) -> tuple[Tensor | None, ...]:
        grad_SE, grad_NE = ctx.grad_SE, None
        ctx.grad_SE = None
        if ctx.saved_tensors:
            hidden_SE, share_SN = ctx.saved_tensors
            grad_NE = (share_SN.T @ (hidden_SE * grad_S[:, None].to(hidden_SE.dtype))).float()
        return grad_SE.mul_(grad_S[:, None].to(grad_SE.dtype)), None, None, grad_NE, None


@dataclass(slots=True)
class _New:
    """New rows in the place of those that the frozen matrix has at their ids."""

    rows_NE: Tensor
    columns: slice
    share_SN: Tensor
    """softmax - onehot of the new tokens."""

    @classmethod
    def of(cls, rows_NE: Tensor, first: int, hidden_SE: Tensor) -> _New:
        return cls(
            rows_NE.detach().to(hidden_SE.dtype),
            slice(first, first + len(rows_NE)),
            hidden_SE.new_empty(len(hidden_SE), len(rows_NE)),
        )

    def take_out(self, share_SV: Tensor, part: slice) -> None:
        """Keep the new tokens' shares, and leave the frozen rows in their place without any."""
        self.share_SN[part] = share_SV[:, self.columns]
        share_SV[:, self.columns] = 0


def _chunk_tokens(vocabulary: int, hidden_SE: Tensor) -> int:
    return head_chunk_tokens(vocabulary, device=kind_of_device(hidden_SE.device))
