"""Linear layers with the adapter added to the weights, while a block runs.

The weights of the model are not touched: within the block a layer computes with a copy that holds
W + scale B A, laid out as oneDNN reads it fastest. Only what is exactly known is copied: linear
layers in float32 on a CPU, with one plain LoRA or with none. In a shorter format the sum would be
rounded, and the adapter with it.

Legend: O outputs, I inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from finetune.models.fused import LoraParts, lora_parts, written_forward

COPY_BYTES = 2**32
"""A model whose copy would be larger runs as it is."""
PACKED_ROWS = 4
"""With fewer rows oneDNN's layout is slower than the plain one."""


@contextmanager
def folded(model: nn.Module, *, rows: int) -> Iterator[None]:
    """Let the linear layers of a model run with their adapters added, for so many rows."""
    packs = rows >= PACKED_ROWS and torch.backends.mkldnn.is_available()
    found: list[tuple[nn.Module, LoraParts | nn.Linear]] = list(_known_layers(model))
    if not packs:  # a layer without an adapter stays as it is
        found = [(layer, parts) for layer, parts in found if isinstance(parts, LoraParts)]
    if sum(_weight(parts).nbytes for _, parts in found) > COPY_BYTES:
        found = []
    with ExitStack() as stack:
        for layer, parts in found:
            stack.enter_context(_instead(layer, _forward_of(parts, rows if packs else None)))
        for module in model.modules() if found else ():
            if hasattr(module, "gate_proj") and "forward" in vars(module):
                # the fused form reads the weights and calls no layer
                stack.enter_context(_instead(module, written_forward(module)))
        yield


def _known_layers(model: nn.Module) -> Iterator[tuple[nn.Module, LoraParts | nn.Linear]]:
    inside: set[nn.Module] = set()
    modules: list[Any] = list(model.modules())  # a layer comes before its parts
    for module in modules:
        parts = lora_parts(module) if hasattr(module, "lora_A") else None
        if parts is not None:
            inside.update(module.modules())
            yield module, parts
        elif module not in inside and _is_plain(module):
            yield module, module


def _is_plain(module: Any) -> bool:
    if type(module) is not nn.Linear:
        return False
    weight = module.weight
    plain = weight.dtype == torch.float32 and weight.device.type == "cpu"
    return plain and not weight.requires_grad and not hasattr(weight, "ds_id")


def _weight(parts: LoraParts | nn.Linear) -> Tensor:
    return parts.weight_OI if isinstance(parts, LoraParts) else parts.weight


def _forward_of(parts: LoraParts | nn.Linear, rows: int | None) -> Callable[[Tensor], Tensor]:
    weight_OI, bias_O = _weight(parts), parts[1] if isinstance(parts, LoraParts) else parts.bias
    if isinstance(parts, LoraParts):
        weight_OI = torch.addmm(weight_OI, parts.b_OR, parts.a_RI, alpha=parts.scale)
    if rows is None:
        return partial(linear, weight=weight_OI, bias=bias_O)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight_OI, rows)
    return partial(_packed_linear, packed=packed, bias_O=bias_O)


def _packed_linear(x: Tensor, packed: Tensor, bias_O: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias_O, "none", [], "")
    return out


@contextmanager
def _instead(module: nn.Module, forward: Callable[..., Tensor]) -> Iterator[None]:
    """Run another forward of a module within the block."""
    before = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if before is not None:
            module.forward = before
