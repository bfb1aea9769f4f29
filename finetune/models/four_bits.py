"""Weights in 4 bits (NF4: Dettmers et al. 2023) where they are split over ranks.

bitsandbytes holds a matrix as bytes, and the scales of its blocks beside them, in the layer. What
splits parameters splits the bytes and gathers them again; the scales, a 32nd of them, stay whole on
every rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def packing_on(device: torch.device | str | None) -> Iterator[None]:
    """Pack weights on a device, one matrix at a time, and leave them where they were loaded.

    On a CPU core bitsandbytes packs some millions of weights per second: 70B would take hours. What
    a GPU packs is also what a single GPU has, bit for bit. None: nothing is changed.
    """
    if device is None:
        yield
        return
    from bitsandbytes.nn import Params4bit

    written = Params4bit._quantize

    def pack(weight: Any, home: torch.device) -> Any:
        packed = written(weight, device)
        packed.data = packed.data.to(home)
        packed.quant_state.to(home)
        return packed

    Params4bit._quantize = pack
    try:
        yield
    finally:
        Params4bit._quantize = written


def scales_to(device: torch.device, model: nn.Module) -> None:
    """Move the scales of a model's weights in 4 bits to a device."""
    for state in states_of(model):
        state.to(device)


def states_of(model: nn.Module) -> Iterator[Any]:
    """Give what bitsandbytes knows of each matrix in 4 bits: shape and scales."""
    for module in model.modules():
        state = getattr(module, "quant_state", None)
        if state is not None:
            yield state
