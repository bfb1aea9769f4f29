"""Choice of the next token of each row: greedy, or sampled.

Legend: R rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from finetune.models.layer_devices import beside

TOP_P = 0.95


@dataclass(frozen=True, slots=True)
class Decoding:
    """Generation settings."""

    max_new_tokens: int
    min_new_tokens: int | None = None
    temperature: float = 0.0
    """0 is greedy; above it answers are sampled (nucleus 0.95)."""
    barred: Sequence[int] = ()
    """Tokens that are never written."""


def last_logits(causal: Any, hidden_RE: Tensor) -> Tensor:
    """Return the logits that follow hidden states."""
    head = causal.get_output_embeddings()
    logits_RV: Tensor = head(beside(hidden_RE, head, of=causal))
    cap = getattr(causal.config, "final_logit_softcapping", None)
    return logits_RV if cap is None else torch.tanh(logits_RV / cap) * cap


def next_tokens(
    logits_RV: Tensor, decoding: Decoding, *, stops: Sequence[int], written: Sequence[int]
) -> Tensor:
    """Return a token for each row (R); `written` counts the tokens that each has so far.

    Logits are changed in place.
    """
    if decoding.barred:
        logits_RV[:, list(decoding.barred)] = -torch.inf
    least = decoding.min_new_tokens or 0
    early = [row for row, count in enumerate(written) if count < least]
    if early and stops:
        places = (torch.tensor(early)[:, None], torch.tensor(list(stops)))
        logits_RV[tuple(x.to(logits_RV.device) for x in places)] = -torch.inf
    if decoding.temperature <= 0:
        return logits_RV.argmax(dim=-1)
    return _sampled(logits_RV.float() / decoding.temperature)


def _sampled(logits_RV: Tensor) -> Tensor:
    """Sample from the fewest tokens that together have a share of TOP_P (Holtzman et al. 2020)."""
    ascending, order = torch.sort(logits_RV)
    below = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - TOP_P
    below[:, -1:] = False
    dropped = torch.zeros_like(below).scatter_(1, order, below)
    shares = logits_RV.masked_fill(dropped, -torch.inf).softmax(dim=-1)
    return torch.multinomial(shares, num_samples=1)[:, 0]
