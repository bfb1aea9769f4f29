"""A GPU that is not there: fake CUDA tensors, and what torch would ask a driver.

`torch.cuda.is_available()` stays false, since libraries would then initialise CUDA. Attention by
`scaled_dot_product_attention` has no fake kernel in a CPU build, so a Function that keeps for its
backward pass what CUDA's kernels keep stands in for it: flash attention without a mask, the
memory-efficient kernel with one, which is made of the queries' type in every call.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from finetune.sizing.gpus import GPUS, Gpu
from finetune.sizing.policy import GIB
from tests.fake_cuda.flops import BACKWARD
from tests.fake_cuda.watch import Watch

GPUS_BY_NAME = {gpu.name: gpu for gpu in GPUS}


A100 = GPUS_BY_NAME["A100 SXM"]


@contextlib.contextmanager
def fake_gpu(gpu: Gpu = A100) -> Iterator[None]:
    """Tensors of the device "cuda" are fakes in the block, and torch describes this card."""
    with contextlib.ExitStack() as stack:
        for name, answer in _answers(gpu).items():
            stack.enter_context(mock.patch.object(torch.cuda, name, answer))
        enter = stack.enter_context
        # torch would swap fake parameters, which fails while a weak reference to one lives
        enter(mock.patch.object(nn.Module, "_apply", _apply))
        # the seeds of a GPU that is not there cannot be set
        enter(mock.patch.object(torch, "manual_seed", torch.default_generator.manual_seed))
        enter(mock.patch.object(torch.random, "fork_rng", _no_fork))
        enter(mock.patch("torch.cuda.amp.common.amp_definitely_not_available", return_value=False))
        enter(FakeTensorMode(allow_non_fake_inputs=True))
        yield


class CudaAttention(TorchFunctionMode):
    """Let `scaled_dot_product_attention` keep and compute what it does on a GPU."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is nn.functional.scaled_dot_product_attention:
            return self._attend(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,  # noqa: ARG002  no place of its own in what follows
        is_causal: bool = False,
        **_: Any,
    ) -> Tensor:
        if torch.is_autocast_enabled("cuda"):
            dtype = torch.get_autocast_dtype("cuda")
            query, key, value = (x.to(dtype) for x in (query, key, value))
        bias = attn_mask
        if bias is not None and bias.dtype == torch.bool:
            bias = torch.zeros_like(bias, dtype=query.dtype).masked_fill_(~bias, float("-inf"))
        out: Tensor = _Attention.apply(query, key, value, bias, is_causal, self._watch)
        return out


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor | None,
        causal: bool,
        watch: Watch,
    ) -> Tensor:
        batch, heads, tokens, width = query.shape
        out = query.new_empty(batch, tokens, heads, width).transpose(1, 2)
        logsumexp = query.new_empty(batch, heads, tokens, dtype=torch.float32)
        ctx.save_for_backward(query, key, value, out, logsumexp, bias)
        ctx.flops = 4 * batch * heads * tokens * key.shape[2] * width * (0.5 if causal else 1)
        kernel = "flash" if bias is None else "efficient, with a mask"
        ctx.name = f"{kernel} {str(query.dtype).removeprefix('torch.')}"
        ctx.watch = watch
        watch.add_attention(ctx.name, ctx.flops)
        return out

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, ...]:
        ctx.watch.add_attention(ctx.name, BACKWARD * ctx.flops)
        grads = [torch.empty_like(tensor) for tensor in ctx.saved_tensors[:3]]
        return *grads, None, None, None


def total_bytes(gpu: Gpu) -> int:
    """Return the memory of the largest form of a card."""
    return int(max(gpu.memory_gib.values()) * GIB)


def _capability(gpu: Gpu) -> tuple[int, int]:
    if gpu.capability is None:
        raise ValueError(f"{gpu.name} is no card of CUDA's")
    return gpu.capability


def _answers(gpu: Gpu) -> dict[str, Callable[..., Any]]:
    total = total_bytes(gpu)
    major, minor = _capability(gpu)
    properties = types.SimpleNamespace(
        name=gpu.name,
        total_memory=total,
        major=major,
        minor=minor,
        multi_processor_count=108,
        uuid="GPU-0",
    )
    return {
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "is_bf16_supported": lambda including_emulation=True: gpu.has_bf16 or including_emulation,
        "get_device_properties": lambda *_: properties,
        "get_device_capability": lambda *_: (major, minor),
        "get_device_name": lambda *_: gpu.name,
        "mem_get_info": lambda *_: (total, total),
        "set_device": lambda *_: None,
        "synchronize": lambda *_: None,
        "empty_cache": lambda: None,
    }


@contextlib.contextmanager
def _no_fork(*_: Any, **__: Any) -> Iterator[None]:
    yield


def _apply(module: Any, change: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
    """`Module._apply` with new parameters in the place of old ones."""
    for child in module.children() if recurse else ():
        _apply(child, change)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            with torch.no_grad():
                new = change(parameter)
            module._parameters[name] = nn.Parameter(new, requires_grad=parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = change(buffer)
    return module
