"""Settings of a layer's attention scores, and the scores themselves where a soft cap needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Scores:
    """Settings of a layer's scores; query i sees key j if 0 <= i - j < window."""

    scale: float
    window: int | None = None
    cap: float | None = None
    """Scores become cap * tanh(scores / cap) (Gemma 2)."""

    @classmethod
    def of(cls, query: Tensor, settings: Mapping[str, Any]) -> Scores:
        """Return those in the keyword arguments of an attention function."""
        scale = settings.get("scaling") or query.shape[-1] ** -0.5
        return cls(scale, settings.get("sliding_window"), settings.get("softcap"))

    def cuts(self, length: int) -> bool:
        """Return whether the window is shorter than a document of this length."""
        return self.window is not None and length > self.window


def seen(
    length: int,
    window: int | None,
    *,
    device: torch.device,
    first: int = 0,
    count: int | None = None,
) -> Tensor:
    """Return which keys (columns) the queries `first` to `first + count` of a document see."""
    key = torch.arange(length, device=device)
    distance = key[first : length if count is None else first + count, None] - key[None, :]
    return distance >= 0 if window is None else (distance >= 0) & (distance < window)


def attend(query: Tensor, key: Tensor, value: Tensor, seen: Tensor, scores: Scores) -> Tensor:
    """Return attention by plain products and a softmax in float32, with a soft cap if there is one.

    All have the same heads; `seen` is broadcast to (batch, heads, queries, keys).
    """
    found = ((query * scores.scale) @ key.transpose(-1, -2)).float()
    if scores.cap is not None:
        found = torch.tanh(found / scores.cap) * scores.cap
    # not -inf: a query of padding sees nothing, and NaN would spread from it
    weights = found.masked_fill(~seen, torch.finfo(torch.float32).min).softmax(-1)
    return weights.to(value.dtype) @ value


def repeated(x: Tensor, heads: int) -> Tensor:
    """Return keys or values (B,K,S,D) with a copy for each query head."""
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], dim=1)
