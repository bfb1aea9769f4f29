"""Cost of a training run: hours and energy of its operations (finetune/sizing/flops.py), with the
source of each assumption.
"""

from __future__ import annotations

from dataclasses import dataclass

from finetune.artefacts.emissions import Energy, emissions_of, grid_rows
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.electricity import Grid

Range = tuple[float, float]
"""The favourable end, and the other one."""

GPU_UTILISATION: Range = (0.41, 0.15)
"""Share of the peak. 0.41: 402 of 989 TFLOP/s, which NVIDIA publishes for LoRA of Llama-3-8B with
NeMo AutoModel on an H100 (docs.nvidia.com/nemo/automodel, performance summary). 0.15: a cautious
guess. This program was not measured on a GPU. What is computed again counts as operations."""
FULL_WIDTH = 4096
"""Hidden width of that model. What is no matrix product grows with the width, products with its
square: for a narrower model the lower end falls in proportion, the upper one from half on. A
guess."""
SLOWER_PACKED = 1.39
"""Time of a base in 4 bits for each hour in bf16: weights are widened for every product (Raschka
2023, Practical Tips for Finetuning LLMs Using LoRA)."""
CPU_GFLOPS_PER_CORE: Range = (72.0, 41.5)
"""Measured with SmolLM2-135M in fp32 on an AMD core without AVX-512 (benchmarks/README.md); the
lower end is a busy machine."""
MICRO_BATCH_SECONDS: Range = (0.03, 0.1)
"""Time of a micro-batch below which no device gets, however small it is: kernels are started one
by one. 0.044 s for a step of a model without arithmetic on a CPU (docs/cluster/scaling.md); the
range is a guess."""
START_SECONDS: Range = (20.0, 60.0)
"""Time before the first step: imports from a shared disk, weights, compilation. A guess."""
POWER_OF_NODE: Range = (1.0, 2.0)
"""Power of a node for each watt of its GPUs. 1: nothing else. 2: a DGX A100 may draw 6.5 kW for
eight GPUs of 400 W, a DGX H100 10.2 kW for eight of 700 W (NVIDIA's data sheets)."""
PUE = 1.58
"""Power of a data centre for each watt of its computers: average of the Uptime Institute's survey
of 2023."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Amount of work of a training run."""

    flops: float
    tokens: float
    micro_batches: int = 0
    """Of the busiest rank, over all steps; 0: the arithmetic alone, without a start."""


@dataclass(frozen=True, slots=True)
class OnGrid:
    """Emissions on a grid."""

    gco2_per_kwh: float
    co2_kg: Range
    source: str | None
    """None: one of the reference grids (artefacts.emissions)."""


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
    """On the grid that option, recipe or site name."""
    grids: tuple[OnGrid, ...] = ()
    """The same energy on reference grids and on that one, by rising carbon."""


def gpu_utilisation(hidden: int, quantization: Quantization) -> Range:
    """Return the share of a GPU's peak that a base of this width reaches.

    >>> gpu_utilisation(4096, "none"), gpu_utilisation(1024, "none")
    ((0.41, 0.15), (0.205, 0.0375))
    """
    width = min(1.0, hidden / FULL_WIDTH)
    slower = 1.0 if quantization == "none" else SLOWER_PACKED
    high, low = GPU_UTILISATION
    return high * min(1.0, 2 * width) / slower, low * width / slower


def cost_of(
    amount: Amount,
    *,
    peak_flops: Range | None,
    devices: int,
    watts: Range | None,
    pue: float = PUE,
    grid: Grid | None = None,
) -> Cost:
    """Return the cost of some work on `devices` that reach `peak_flops` each.

    `watts` are those of one device with its share of the node. What is not known stays None.
    """
    if peak_flops is None:
        return Cost(amount.flops, None, None, None, None, None)
    training = [
        max(amount.flops / (devices * peak), amount.micro_batches * least)
        for peak, least in zip(peak_flops, MICRO_BATCH_SECONDS, strict=True)
    ]
    start = START_SECONDS if amount.micro_batches else (0.0, 0.0)
    fast, slow = ((work + begin) / 3600 for work, begin in zip(training, start, strict=True))
    kwh = None
    if watts is not None:
        kwh = (
            fast * devices * watts[0] * pue / 1000,
            slow * devices * watts[1] * pue / 1000,
        )
    grids = _on_grids(kwh, grid)
    return Cost(
        flops=amount.flops,
        hours=(fast, slow),
        device_hours=(fast * devices, slow * devices),
        tokens_per_second=(amount.tokens / training[0], amount.tokens / training[1]),
        kwh=kwh,
        co2_kg=next((one.co2_kg for one in grids if one.source is not None), None),
        grids=grids,
    )


def _on_grids(kwh: Range | None, grid: Grid | None) -> tuple[OnGrid, ...]:
    if kwh is None:
        return ()
    energy = Energy(sum(kwh) / 2, "estimate", *kwh)
    return tuple(
        OnGrid(row.gco2_per_kwh, (row.grams.low / 1000, row.grams.high / 1000), row.source)
        for row in grid_rows(emissions_of([("train", energy)], grid=grid))
    )
