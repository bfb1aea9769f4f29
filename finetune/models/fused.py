"""Fused layers: fewer passes over memory and fewer tensors kept for the backward pass.

Only layers whose form is exactly known are rewritten, only while they hold plain LoRA (no DoRA, no
dropout, no quantisation, no sharding) in float32 on a CPU; everything else runs the forward that
PEFT and transformers wrote, which is also what the tests compare with. The conditions are looked
at in every call, because adapters can be switched off and weights sharded later.

Legend: S tokens, I inputs, O outputs, R rank.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_NORMS = ("LlamaRMSNorm", "MistralRMSNorm", "MixtralRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm")
_SHIFTED_NORMS = ("Gemma3RMSNorm",)  # these multiply by 1 + weight
_MLPS = ("LlamaMLP", "MistralMLP", "Qwen2MLP", "Qwen3MLP", "Gemma3MLP")


class LoraParts(NamedTuple):
    """A linear layer with its adapter: y = x W^T + scale (x A^T) B^T, and a bias or None."""

    weight_OI: Tensor
    bias_O: Tensor | None
    a_RI: Tensor
    b_OR: Tensor
    scale: float


def install(model: nn.Module) -> None:
    """Rewrite the forward of every layer in `model` that is exactly known; twice is harmless."""
    for module in model.modules():
        if hasattr(module, "_hf_hook"):  # Accelerate brings its weights for the call
            continue
        kind = type(module).__name__
        forward: Callable[..., Tensor] | None = None
        if kind in _NORMS:
            forward = partial(_norm_forward, module, written_forward(module), 0.0)
        elif kind in _SHIFTED_NORMS:
            forward = partial(_norm_forward, module, written_forward(module), 1.0)
        elif kind in _MLPS and _activation_of(module) is not None:
            forward = partial(_mlp_forward, module, written_forward(module))
        elif hasattr(module, "lora_A") and hasattr(module, "base_layer"):
            forward = partial(_linear_forward, module, written_forward(module))
        if forward is not None:
            module.forward = forward


def lora_parts(layer: Any) -> LoraParts | None:
    """Return the tensors of a layer that has one plain, active LoRA adapter, else None."""
    name = _plain_adapter(layer)
    if name is None:
        return None
    base, a, b = layer.base_layer, layer.lora_A[name].weight, layer.lora_B[name].weight
    for tensor in (base.weight, a, b):
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            return None
        if hasattr(tensor, "ds_id"):  # sharded by ZeRO-3: only the modules gather it
            return None
    return LoraParts(base.weight, base.bias, a, b, layer.scaling[name])


def lora_linear(x: Tensor, parts: LoraParts) -> Tensor:
    """Return the layer's output; gradients go to x, A and B (LoRA: Hu et al. 2021)."""
    out: Tensor = _LoraLinear.apply(x, *parts)
    return out


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Return x / rms(x) * weight over the last axis (Zhang & Sennrich 2019), frozen weight."""
    out: Tensor = _RmsNorm.apply(x, weight, eps)
    return out


def gated_mlp(
    x: Tensor, gate: LoraParts, up: LoraParts, down: LoraParts, *, activation: str
) -> Tensor:
    """Return down(act(gate(x)) * up(x)) (Shazeer 2020); keeps gate and up, not their product."""
    out: Tensor = _GatedMlp.apply(x, activation, *gate, *up, *down)
    return out


# ---- forwards put in the place of the written ones ------------------------------------------


def written_forward(module: nn.Module) -> Callable[..., Tensor]:
    """Return the forward that PEFT or transformers wrote."""
    return type(module).forward.__get__(module)


def _linear_forward(
    layer: Any, written: Callable[..., Tensor], x: Tensor, *args: Any, **kwargs: Any
) -> Tensor:
    parts = None if args or kwargs or x.dtype != torch.float32 else lora_parts(layer)
    return written(x, *args, **kwargs) if parts is None else lora_linear(x, parts)


def _norm_forward(module: Any, written: Callable[..., Tensor], shift: float, x: Tensor) -> Tensor:
    weight = module.weight
    known = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    if not known or weight.requires_grad or hasattr(weight, "ds_id"):
        return written(x)
    eps = module.eps if shift else module.variance_epsilon
    return rms_norm(x, weight + shift if shift else weight, eps)


def _mlp_forward(module: Any, written: Callable[..., Tensor], x: Tensor) -> Tensor:
    gate, up, down = (lora_parts(p) for p in (module.gate_proj, module.up_proj, module.down_proj))
    if gate is None or up is None or down is None or x.dtype != torch.float32:
        return written(x)
    return gated_mlp(x, gate, up, down, activation=str(_activation_of(module)))


def _activation_of(module: Any) -> str | None:
    config = module.config
    name = getattr(config, "hidden_activation", None) or getattr(config, "hidden_act", None)
    return name if name in ("silu", "gelu_pytorch_tanh") else None


def _plain_adapter(layer: Any) -> str | None:
    """Return the name of the layer's adapter if it is the only one and computes plain LoRA."""
    if not hasattr(layer, "lora_A") or layer.disable_adapters or layer.merged:
        return None
    active, base = layer.active_adapters, layer.base_layer
    if len(active) != 1 or active[0] not in layer.lora_A or type(base) is not nn.Linear:
        return None
    name = str(active[0])
    plain = (
        not layer.fan_in_fan_out
        and not layer.lora_bias[name]
        and name not in layer.lora_variant
        and type(layer.lora_dropout[name]) is nn.Identity
        and not base.weight.requires_grad
    )
    return name if plain else None


# ---- the arithmetic -------------------------------------------------------------------------


def _merged(parts: LoraParts, tokens: int) -> Tensor | None:
    """Return W + scale B A where that is cheaper than running A and B over every token."""
    outputs, inputs = parts.weight_OI.shape
    if tokens * (outputs + inputs) <= outputs * inputs:
        return None
    return torch.addmm(parts.weight_OI, parts.b_OR, parts.a_RI, alpha=parts.scale)


def _apply(x_SI: Tensor, parts: LoraParts) -> Tensor:
    merged = _merged(parts, len(x_SI))
    weight = parts.weight_OI if merged is None else merged
    y_SO = torch.nn.functional.linear(x_SI, weight, parts.bias_O)
    if merged is None:
        y_SO.addmm_(x_SI @ parts.a_RI.T, parts.b_OR.T, alpha=parts.scale)
    return y_SO


def _gradients(
    grad_SO: Tensor, x_SI: Tensor, parts: LoraParts, *, into: Tensor | None, wants_x: bool
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return the gradients of x (added into `into` if given), A and B."""
    grad_SR = grad_SO @ parts.b_OR
    grad_a = (grad_SR.T @ x_SI).mul_(parts.scale)
    grad_b = (grad_SO.T @ (x_SI @ parts.a_RI.T)).mul_(parts.scale)
    if not wants_x:
        return None, grad_a, grad_b
    merged = _merged(parts, len(x_SI))
    weight = parts.weight_OI if merged is None else merged
    grad_x = grad_SO @ weight if into is None else into.addmm_(grad_SO, weight)
    if merged is None:
        grad_x.addmm_(grad_SR, parts.a_RI, alpha=parts.scale)
    return grad_x, grad_a, grad_b


class _LoraLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *tensors: Any) -> Tensor:
        parts = LoraParts._make(tensors)
        x_SI = x.reshape(-1, x.shape[-1])
        ctx.save_for_backward(x_SI, *parts[:4])
        ctx.scale, ctx.shape = parts.scale, x.shape
        return _apply(x_SI, parts).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x_SI, *tensors = ctx.saved_tensors
        grad_SO = grad.reshape(-1, grad.shape[-1])
        grad_x, grad_a, grad_b = _gradients(
            grad_SO,
            x_SI,
            LoraParts._make((*tensors, ctx.scale)),
            into=None,
            wants_x=ctx.needs_input_grad[0],
        )
        shaped = None if grad_x is None else grad_x.view(ctx.shape)
        return shaped, None, None, grad_a, grad_b, None


class _GatedMlp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, activation: str, *tensors: Any) -> Tensor:
        gate, up, down = (LoraParts._make(tensors[i : i + 5]) for i in (0, 5, 10))
        x_SI = x.reshape(-1, x.shape[-1])
        gate_SO, up_SO = _apply(x_SI, gate), _apply(x_SI, up)
        inner_SO = _activate(gate_SO, activation).mul_(up_SO)
        ctx.save_for_backward(x_SI, gate_SO, up_SO, *gate[:4], *up[:4], *down[:4])
        ctx.scales, ctx.shape = (gate.scale, up.scale, down.scale), x.shape
        ctx.activation = activation
        return _apply(inner_SO, down).view(x.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x_SI, gate_SO, up_SO, *tensors = ctx.saved_tensors
        gate, up, down = (
            LoraParts._make((*tensors[4 * i : 4 * i + 4], scale))
            for i, scale in enumerate(ctx.scales)
        )
        active_SO = _activate(gate_SO, ctx.activation)
        inner, grad_a_down, grad_b_down = _gradients(
            grad.reshape(-1, grad.shape[-1]), active_SO * up_SO, down, into=None, wants_x=True
        )
        assert inner is not None  # noqa: S101, wants_x
        grad_up_SO = active_SO.mul_(inner)
        grad_gate_SO = _activate_backward(inner.mul_(up_SO), gate_SO, ctx.activation)
        wants_x = ctx.needs_input_grad[0]
        grad_x, *of_up = _gradients(grad_up_SO, x_SI, up, into=None, wants_x=wants_x)
        grad_x, *of_gate = _gradients(grad_gate_SO, x_SI, gate, into=grad_x, wants_x=wants_x)
        shaped = None if grad_x is None else grad_x.view(ctx.shape)
        adapters = (of_gate, of_up, (grad_a_down, grad_b_down))
        return shaped, None, *(g for a, b in adapters for g in (None, None, a, b, None))


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inverse = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        return (x * inverse).mul_(weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inverse = ctx.saved_tensors
        grad = grad * weight
        along = torch.linalg.vecdot(grad, x).unsqueeze(-1)
        factor = along.mul_(inverse.pow(3)).div_(x.shape[-1])
        return grad.mul_(inverse).addcmul_(x, factor, value=-1), None, None


def _activate(x: Tensor, name: str) -> Tensor:
    if name == "silu":
        return torch.nn.functional.silu(x)
    return torch.nn.functional.gelu(x, approximate="tanh")


def _activate_backward(grad: Tensor, x: Tensor, name: str) -> Tensor:
    if name == "silu":
        return torch.ops.aten.silu_backward(grad, x)
    return torch.ops.aten.gelu_backward(grad, x, approximate="tanh")
