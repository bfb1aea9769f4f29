"""Weights of a base on several devices.

Layers go to the GPUs of one process by the names of modules; Accelerate's hooks move the hidden
states from device to device. Weights in 4 bits (NF4: Dettmers et al. 2023) that are split over
ranks are packed on a GPU and held on the host until then. bitsandbytes keeps the scales of their
blocks beside the parameters: they are not split, and stay whole on every rank.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

DeviceMap = dict[str, Any]
"""Name of a module -> its device; as transformers and Accelerate take it."""


def layers_of(causal: Any) -> nn.ModuleList:
    """Return the decoder layers of a causal language model, in order; none if it has no list."""
    lists = (m for m in causal.get_decoder().children() if isinstance(m, nn.ModuleList))
    return max(lists, key=len, default=nn.ModuleList())


def device_map_of(folder: Path, layers: Sequence[int], devices: Sequence[Any]) -> DeviceMap:
    """Return where each module of a causal language model goes; `layers`: device of each layer."""
    return modules_on(empty_model(folder), layers, devices)


def empty_model(folder: Path) -> Any:
    """Return the causal language model of a folder without memory: names and shapes alone."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def modules_on(model: Any, layers: Sequence[int], devices: Sequence[Any]) -> DeviceMap:
    """Return the same for a model.

    Modules before the layers go to the first device, those behind them to the last; a head that is
    the embedding, and modules without weights, to the first.
    """
    blocks = layers_of(model)
    [way] = [name.split(".") for name, module in model.named_modules() if module is blocks]
    tied = getattr(model.config.get_text_config(), "tie_word_embeddings", False)
    found: DeviceMap = {}
    for depth in range(len(way)):
        inside, is_behind = ".".join(way[:depth]), False
        for name, module in model.get_submodule(inside).named_children():
            if name == way[depth]:
                is_behind = True
                continue
            stays = tied and module is model.get_output_embeddings()
            at_end = is_behind and not stays and next(module.parameters(), None) is not None
            found[".".join(filter(None, (inside, name)))] = devices[-1 if at_end else 0]
    prefix = ".".join(way)
    return found | {f"{prefix}.{n}": devices[device] for n, device in enumerate(layers)}


def beside(x: Tensor, module: nn.Module, *, of: Any) -> Tensor:
    """Return a tensor on the device of a module of a model whose layers are on several."""
    if not getattr(of, "hf_device_map", None):
        return x
    weight = next(module.parameters(), x)
    return x if weight.is_meta else x.to(weight.device)  # of what is offloaded, hooks do it


@contextmanager
def packing_on(device: torch.device | str | None) -> Iterator[None]:
    """Pack weights on a device, one matrix at a time, and leave them where they were loaded.

    On a CPU core bitsandbytes packs some millions of weights per second: 70B would take hours. What
    a GPU packs is also what a single GPU has, bit for bit. None: nothing is changed.
    """
    if device is None:
        yield
        return
    from bitsandbytes.nn import modules

    kind: Any = modules.Params4bit
    written = kind._quantize

    def pack(weight: Any, home: torch.device) -> Any:
        packed = written(weight, device)
        packed.data = packed.data.to(home)
        packed.quant_state.to(home)
        return packed

    kind._quantize = pack
    try:
        yield
    finally:
        kind._quantize = written


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
