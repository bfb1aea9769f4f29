"""Cost of a training run: operations, hours and energy, with the source of each assumption.

Floating-point operations of a token of LoRA training, two for each multiplication and addition: 4 N
(forward, and backward to activations; a frozen weight gets no gradient), 6 for each parameter of
the adapter, 12 L T d for attention over T tokens. Gradient checkpointing runs the forward pass
again.
"""

from __future__ import annotations

from dataclasses import dataclass

from finetune.sizing.shape import ModelShape, adapter_parameters, linear_parameters
from finetune.spec.sections.training import Lora

Range = tuple[float, float]
"""The favourable end, and the other one."""

GPU_UTILISATION: Range = (0.41, 0.15)
"""Share of the peak. 0.41: 402 of 989 TFLOP/s, which NVIDIA publishes for LoRA of Llama-3-8B with
NeMo AutoModel on an H100 (docs.nvidia.com/nemo/automodel, performance summary). 0.15: a cautious
guess for small models. This program was not measured on a GPU."""
CPU_GFLOPS_PER_CORE: Range = (78.0, 45.0)
"""Measured with SmolLM2-135M in fp32 on an AMD core without AVX-512 (benchmarks/README.md); the
lower end is a busy machine."""
POWER_OF_NODE: Range = (1.0, 2.0)
"""Power of a node for each watt of its GPUs. 1: nothing else. 2: a DGX A100 may draw 6.5 kW for
eight GPUs of 400 W, a DGX H100 10.2 kW for eight of 700 W (NVIDIA's data sheets)."""
PUE = 1.58
"""Power of a data centre for each watt of its computers: average of the Uptime Institute's survey
of 2023."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a training run; ranges begin with the favourable end."""

    flops: float
    hours: Range | None
    """Wall time."""
    device_hours: Range | None
    tokens_per_second: Range | None
    """Of all devices together."""
    kwh: Range | None
    co2_kg: Range | None


def flops_per_token(
    shape: ModelShape, lora: Lora, *, sequence_tokens: int, gradient_checkpointing: bool = False
) -> float:
    """Return the floating-point operations of training on one token."""
    experts = shape.experts_per_token * 3 * shape.hidden * shape.inner
    used = shape.layers * (linear_parameters(shape) + experts) + shape.head.parameters
    trained = sum(adapter_parameters(shape, lora).values())
    attention = shape.layers * sequence_tokens * shape.heads * shape.head_width
    again = 2 * used + 2 * trained + 4 * attention if gradient_checkpointing else 0
    return 4 * used + 6 * trained + 12 * attention + again


def cost_of(
    flops: float,
    *,
    tokens: float,
    peak_flops: Range | None,
    devices: int,
    watts: Range | None,
    pue: float = PUE,
    grid_gco2_per_kwh: float | None = None,
) -> Cost:
    """Return the cost of `flops` on `devices` that reach `peak_flops` each.

    `watts` are those of one device with its share of the node. What is not known stays None.
    """
    if peak_flops is None:
        return Cost(flops, None, None, None, None, None)
    fast, slow = (flops / (devices * peak) / 3600 for peak in peak_flops)
    kwh = None
    if watts is not None:
        kwh = (
            fast * devices * watts[0] * pue / 1000,
            slow * devices * watts[1] * pue / 1000,
        )
    co2 = None
    if kwh is not None and grid_gco2_per_kwh is not None:
        co2 = (kwh[0] * grid_gco2_per_kwh / 1000, kwh[1] * grid_gco2_per_kwh / 1000)
    return Cost(
        flops=flops,
        hours=(fast, slow),
        device_hours=(fast * devices, slow * devices),
        tokens_per_second=(tokens / fast / 3600, tokens / slow / 3600),
        kwh=kwh,
        co2_kg=co2,
    )
