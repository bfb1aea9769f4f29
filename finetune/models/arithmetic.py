"""Number formats of products: half precision by autocast, TF32 for float32 on GPUs.

The base is held in its compute type; adapter, gradients and moments are float32 whatever that is.
In half precision autocast rounds A and B for their products, so that no activation is widened for
them and no product runs in float32. Training, validation and scoring go through PackedModel, which
enters both contexts; text is written by the model's own forward, where PEFT widens activations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from finetune.spec.sections.training import Precision

DTYPES: Mapping[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
HALF = (torch.bfloat16, torch.float16)


def compute_type(causal: Any) -> torch.dtype:
    """Return the type of the base's activations: that of its embedding."""
    found: torch.dtype = next(causal.get_input_embeddings().parameters()).dtype
    return found


def autocast(causal: Any, *, device: torch.device) -> AbstractContextManager[Any]:
    """Run products in the base's compute type if that is half precision, inside the block."""
    dtype = compute_type(causal)
    return torch.autocast(device.type, dtype=dtype) if dtype in HALF else nullcontext()


def install(model: nn.Module) -> None:
    """Let PEFT leave activations alone under autocast, and keep positions exact under TF32.

    Twice is harmless. DoRA keeps its float32: it divides by norms of whole rows of weights.
    """
    modules: list[Any] = list(model.modules())
    for module in modules:
        if hasattr(module, "_cast_input_dtype") and not getattr(module, "lora_variant", None):
            module._cast_input_dtype = _leave_to_autocast
        elif getattr(module, "lora_variant", None) and not hasattr(module, "_returns_input_type"):
            module._returns_input_type = module.register_forward_hook(_in_type_of_input)
        if type(module).__name__.endswith("RotaryEmbedding"):
            module.forward = partial(_exactly, type(module).forward.__get__(module))


@contextmanager
def tf32(device: torch.device) -> Iterator[None]:
    """Run float32 products on a GPU in TF32 inside the block: sums stay float32, factors get the
    ten bits of fp16 and the range of float32. Cards before sm80 have no TF32 and ignore it."""
    with _products(device, allowed=True):
        yield


def _leave_to_autocast(x: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Take the place of PEFT's cast of a layer's input to the type of its adapter."""
    if x is None or torch.is_autocast_enabled(x.device.type):
        return x
    return x.to(dtype)


def _in_type_of_input(_: Any, inputs: tuple[Any, ...], out: Tensor) -> Tensor:
    """Round DoRA's sum, which a base in 4 bits would hand on in float32 to all that follows."""
    return out.to(inputs[0].dtype)


def _exactly(forward: Callable[..., Any], x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Multiply positions with frequencies in float32: TF32 has no 2049."""
    with _products(x.device, allowed=False):
        return forward(x, *args, **kwargs)


@contextmanager
def _products(device: torch.device, *, allowed: bool) -> Iterator[None]:
    matmul: Any = torch.backends.cuda.matmul
    # Libraries ask for the setting by this name, and torch raises once a newer one has set it.
    before = matmul.allow_tf32
    if device.type != "cuda" or before == allowed:
        yield
        return
    matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32 = before
