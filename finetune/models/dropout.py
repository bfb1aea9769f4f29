"""LoRA dropout with masks keyed by step, sequence and layer, independent of batching."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(slots=True)
class DropoutState:
    """Seeds of the dropout masks of the current forward pass; shared by all layers of a model."""

    key: int = 0
    rows: tuple[int, ...] = ()
    row_lengths: tuple[int, ...] = ()
    layers: int = 0
    """Layers that draw masks; 0 without dropout."""

    def enter(self, key: int, rows: tuple[int, ...], row_lengths: tuple[int, ...]) -> None:
        """Begin a forward pass. The state stays for the backward pass, which may recompute."""
        self.key, self.rows, self.row_lengths = key, rows, row_lengths


class KeyedDropout(nn.Module):
    """Dropout with a mask drawn from (dropout key, global row number, layer number)."""

    def __init__(self, p: float, *, layer: int, state: DropoutState) -> None:
        super().__init__()
        self.p, self.layer, self.state = p, layer, state

    def forward(self, x: Tensor) -> Tensor:
        """Drop entries of x (1,S,E), S being the tokens of all rows one after the other."""
        if not self.training or self.p == 0:
            return x
        state, width = self.state, x.shape[-1]
        if x.shape[:-1].numel() != sum(state.row_lengths):
            raise RuntimeError(
                f"dropout sees {x.shape[:-1].numel()} tokens, the batch has "
                f"{sum(state.row_lengths)}; train through PackedModel"
            )
        generator = torch.Generator(device=x.device)
        pieces = []
        for row, length in zip(state.rows, state.row_lengths, strict=True):
            generator.manual_seed(_seed(state.key, row, self.layer))
            # rand draws one number after the other; bernoulli_ may split by thread
            pieces.append(torch.rand(length, width, generator=generator, device=x.device))
        kept = torch.cat(pieces).ge_(self.p).div_(1 - self.p)
        return x * kept.view(x.shape).to(x.dtype)


def install(model: nn.Module) -> DropoutState:
    """Put KeyedDropout in the place of every LoRA dropout; return the state they share."""
    state = DropoutState()
    layers: list[Any] = [
        m for m in model.modules() if isinstance(getattr(m, "lora_dropout", None), nn.ModuleDict)
    ]
    for number, layer in enumerate(layers):
        for name, old in layer.lora_dropout.items():
            p = getattr(old, "p", 0.0)
            if p > 0:
                layer.lora_dropout[name] = KeyedDropout(p, layer=number, state=state)
                state.layers += 1
    return state


def _seed(key: int, row: int, layer: int) -> int:
    digest = hashlib.blake2b(f"{key}/{row}/{layer}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
