"""Attention within documents, padded to batches of documents of similar length.

Padding follows a document, so that causal attention needs no mask to hide it: what is computed is
a square of scores per document and no score between documents. Any device and type has a kernel
for that. It also runs on a CPU, where the tests compare it with documents one by one.

Legend: S tokens, P places of the padded sequence, G documents of a group, L tokens of its longest,
H heads, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from finetune.models.attention.packed_batch import on_device
from finetune.models.attention.softmax import Scores, attend, repeated, seen

_SHORT = 64
"""Documents up to this length share a group: padding them costs less than another call."""
_CAPPED_QUERIES = 512
"""Queries whose scores exist at a time where there is a soft cap."""


@dataclass(frozen=True, slots=True)
class Group:
    """Documents that lie in the padded sequence from `begin` on, `length` places each."""

    begin: int
    count: int
    length: int


@dataclass(frozen=True, slots=True)
class Groups:
    """The documents of a packed sequence, by length."""

    of_length: tuple[Group, ...]
    places: int
    """P."""
    place_S: Tensor
    """Places in P of the tokens."""
    _hidden: dict[tuple[int, int, torch.dtype], Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, lengths: Sequence[int], *, device: torch.device) -> Groups:
        """Group documents so that none is padded to more than twice its length, short ones apart.

        `lengths` are those of the documents in the order of S.
        """
        lengths_D = np.asarray(lengths, dtype=np.int64)
        order = np.argsort(-lengths_D, kind="stable")
        ends = _ends(lengths_D[order])
        groups, places_D, begin, first = [], np.empty_like(lengths_D), 0, 0
        for end in ends:
            group = Group(begin, end - first, int(lengths_D[order[first]]))
            places_D[order[first:end]] = begin + group.length * np.arange(group.count)
            groups.append(group)
            begin, first = begin + group.count * group.length, end
        starts_D = np.cumsum(lengths_D) - lengths_D
        shift_S = np.repeat(places_D - starts_D, lengths_D)
        place_S = on_device(shift_S + np.arange(len(shift_S)), device)
        return cls(tuple(groups), begin, place_S)

    def hidden(self, length: int, window: int, *, like: Tensor) -> Tensor:
        """Return 0 where a query sees a key, else -inf, (L,L); made once for all layers."""
        key = (length, window, like.dtype)
        if key not in self._hidden:
            mask = like.new_zeros(length, length)
            mask.masked_fill_(~seen(length, window, device=like.device), float("-inf"))
            self._hidden[key] = mask
        return self._hidden[key]


def attend_by_group(
    query: Tensor, key: Tensor, value: Tensor, groups: Groups, scores: Scores
) -> Tensor:
    """Return (1,S,H,D) for (1,H,S,D)."""
    padded = [
        _Pad.apply(x[0].transpose(0, 1), groups.place_S, groups.places) for x in (query, key, value)
    ]
    found = []
    for group in groups.of_length:
        part = slice(group.begin, group.begin + group.count * group.length)
        q, k, v = (
            x_PHD[part].unflatten(0, (group.count, group.length)).transpose(1, 2)
            for x_PHD in padded
        )
        k, v = (repeated(x, q.shape[1]) for x in (k, v))
        out_GHLD = _attend(q, k, v, groups, scores)
        found.append(out_GHLD.transpose(1, 2).flatten(0, 1))
    out_SHD: Tensor = _Unpad.apply(torch.cat(found), groups.place_S)
    return out_SHD[None]


def capped_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scores: Scores
) -> tuple[Tensor, None]:
    """Return what transformers expects of an attention function, for scores with a soft cap.

    `mask` is what `sdpa_mask` makes: True where a key is seen; None for causal attention.
    """
    if mask is None:
        length, count = key.shape[2], query.shape[2]
        mask = seen(length, None, device=key.device, first=length - count)
    k, v = (repeated(x, query.shape[1]) for x in (key, value))
    return attend(query, k, v, mask, scores).transpose(1, 2), None


def _ends(lengths: Any) -> list[int]:
    """Return where groups of lengths, which fall, end."""
    ends, first = [], 0
    for number, length in enumerate(lengths):
        if length < max(lengths[first] // 2, 1) and lengths[first] > _SHORT:
            ends.append(number)
            first = number
    return [*ends, len(lengths)]


def _attend(q: Tensor, k: Tensor, v: Tensor, groups: Groups, scores: Scores) -> Tensor:
    length = q.shape[2]
    if scores.cap is not None:
        return _capped(q, k, v, scores)
    if scores.window is None or not scores.cuts(length):
        return scaled_dot_product_attention(q, k, v, is_causal=True, scale=scores.scale)
    mask = groups.hidden(length, scores.window, like=q)
    return scaled_dot_product_attention(q, k, v, mask, scale=scores.scale)


def _capped(q: Tensor, k: Tensor, v: Tensor, scores: Scores) -> Tensor:
    """Attend some queries after the other; their scores are computed again for the gradient."""
    length = q.shape[2]

    def some(q: Tensor, k: Tensor, v: Tensor, first: int) -> Tensor:
        mask = seen(k.shape[2], scores.window, device=q.device, first=first, count=q.shape[2])
        return attend(q, k, v, mask, scores)

    found = []
    for first in range(0, length, _CAPPED_QUERIES):
        end = min(first + _CAPPED_QUERIES, length)
        begin = 0 if scores.window is None else max(0, first - scores.window + 1)
        part = (q[:, :, first:end], k[:, :, begin:end], v[:, :, begin:end], first - begin)
        if torch.is_grad_enabled():
            found.append(checkpoint(some, *part, use_reentrant=False))
        else:
            found.append(some(*part))
    return torch.cat(found, dim=2)


class _Pad(torch.autograd.Function):
    """Tokens put to their places; the others are 0. No place is written twice."""

    @staticmethod
    def forward(ctx: Any, x_S: Tensor, place_S: Tensor, places: int) -> Tensor:
        ctx.save_for_backward(place_S)
        return x_S.new_zeros(places, *x_S.shape[1:]).index_copy_(0, place_S, x_S)

    @staticmethod
    def backward(ctx: Any, grad_P: Tensor) -> tuple[Tensor | None, ...]:
        (place_S,) = ctx.saved_tensors
        return grad_P.index_select(0, place_S), None, None


class _Unpad(torch.autograd.Function):
    """Tokens taken from their places. torch's own gradient of that would add, in any order."""

    @staticmethod
    def forward(ctx: Any, x_P: Tensor, place_S: Tensor) -> Tensor:
        ctx.save_for_backward(place_S)
        ctx.places = len(x_P)
        return x_P.index_select(0, place_S)

    @staticmethod
    def backward(ctx: Any, grad_S: Tensor) -> tuple[Tensor | None, ...]:
        (place_S,) = ctx.saved_tensors
        grad_P = grad_S.new_zeros(ctx.places, *grad_S.shape[1:])
        return grad_P.index_copy_(0, place_S, grad_S), None
