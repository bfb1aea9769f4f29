"""Memory per device in training: weights, adapter, optimizer state, activations, buffers.

How ranks share it is that of finetune/train/sharding.py. Frozen weights are most of it, so that
only what splits them (`zero3`, `fsdp`) makes a large base fit; gradients and moments exist for the
adapter alone and are small on any rank.
"""

from __future__ import annotations

from dataclasses import dataclass

from finetune.sizing.attention_paths import Chip, attention_path
from finetune.sizing.footprint import (
    Work,
    allocator_bytes,
    kept_bytes,
    temporary_bytes,
)
from finetune.sizing.policy import (
    BUCKET_ELEMENTS,
    CPU_PROCESS_BYTES,
    ELEMENT_BYTES,
    FLOAT,
    GPU_CONTEXT_BYTES,
    GPU_RESERVE_BYTES,
    SPLITS_WEIGHTS,
    ZERO_STAGES,
    Device,
    fuses_layers,
)
from finetune.sizing.shape import (
    ModelShape,
    adapter_parameters,
    base_parameters,
    embedding_parameters,
    layer_parameters,
    linear_parameters,
)
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Lora, Offload, Precision, Sharding

CAPPED_SCORES = frozenset({"gemma2"})
"""Architectures whose scores go through a tanh."""
LIVE_ELEMENTS = 1_000_000_000
"""Parameters that DeepSpeed's third stage keeps gathered on a GPU (its default)."""
BLOCK_4BIT = 64
"""Weights that share a scale in bitsandbytes' NF4; scales are themselves in 8 bits, by 256."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Placement of the ranks, and sharding between them."""

    sharding: Sharding = "none"
    ranks: int = 1
    offload: Offload = "none"
    device: Device = "gpu"
    capability: tuple[int, int] | None = (8, 0)
    """NVIDIA's compute capability; None on AMD."""

    @property
    def parts(self) -> int:
        """Into how many parts what is shared is split."""
        return self.ranks if self.sharding not in ("none", "ddp") else 1


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one device at the peak of a step, by use."""

    weights: int
    """The frozen base, or this rank's part of it."""
    gathered: int
    """Weights of other ranks, gathered while they are needed."""
    adapter: int
    gradients: int
    optimizer_state: int
    """AdamW's two moments, and the float32 copy that ZeRO steps on."""
    communication_buffers: int
    """Buckets in which ranks exchange gradients and parameters."""
    activations: int
    """Kept from the forward pass for the backward pass."""
    work_buffers: int
    """Gradients of a layer or a chunk of logits, whichever is larger."""
    allocator_overhead: int
    """Memory that the CPU's allocator holds and cannot use. On a GPU it is not estimated."""
    runtime: int
    """The process; on a GPU the CUDA context and what libraries take beside torch."""
    host: int
    """State offloaded to CPU memory; not in the total."""
    loading: int
    """Peak of loading the model, where it can exceed that of a step."""

    @property
    def total(self) -> int:
        """The peak on the device."""
        held = (
            self.weights
            + self.gathered
            + self.adapter
            + self.gradients
            + self.optimizer_state
            + self.communication_buffers
            + self.activations
            + self.work_buffers
        )
        return max(held + self.allocator_overhead, self.loading) + self.runtime


MEMORY_LABELS = {
    "weights": "base weights",
    "gathered": "gathered weights",
    "adapter": "adapter",
    "gradients": "gradients",
    "optimizer_state": "optimizer state",
    "communication_buffers": "communication buffers",
    "activations": "activations",
    "work_buffers": "work buffers",
    "allocator_overhead": "allocator overhead",
    "runtime": "runtime",
    "host": "offloaded to CPU memory",
    "loading": "loading",
}
"""Labels of the fields of `Memory`."""


def device_memory(shape: ModelShape, work: Work, placement: Placement) -> Memory:
    """Return what one device holds; of several ranks on a CPU, what one process holds."""
    whole = weight_bytes(shape, work)
    weights = whole // placement.ranks if placement.sharding in SPLITS_WEIGHTS else whole
    trained = trained_bytes(
        sum(adapter_parameters(shape, work.lora).values()),
        placement,
        precision=work.precision,
    )
    moments = trained.moments
    on_gpu, host = placement.device == "gpu", 0
    gathers = placement.sharding == "zero3" and placement.ranks > 1
    if on_gpu:
        if placement.offload != "none":
            host, moments = moments, 0
        if placement.offload == "all":
            host, weights = host + weights, 0
    return Memory(
        weights=weights,
        gathered=_gathered(shape, work, placement),
        adapter=trained.adapter,
        gradients=trained.gradients,
        optimizer_state=moments,
        communication_buffers=trained.buffers,
        activations=kept_bytes(shape, work),
        work_buffers=temporary_bytes(shape, work),
        allocator_overhead=0 if on_gpu else allocator_bytes(shape, work, gathers=gathers),
        runtime=GPU_CONTEXT_BYTES + GPU_RESERVE_BYTES if on_gpu else CPU_PROCESS_BYTES,
        host=host,
        # FSDP splits what the CPU holds whole; to a GPU it moves layer by layer
        loading=0 if on_gpu or placement.sharding != "fsdp" else whole + trained.adapter,
    )


def budgeted_bytes(memory: Memory, *, device: Device) -> int:
    """Return what a budget must hold: of a process on CPUs all, on a GPU its tensors."""
    return memory.total - (memory.runtime if device == "gpu" else 0)


def work_on(
    shape: ModelShape,
    placement: Placement,
    *,
    lora: Lora,
    rows: int,
    sequence_tokens: int,
    precision: Precision,
    quantization: Quantization = "none",
    gradient_checkpointing: bool = False,
) -> Work:
    """Return a micro-batch as the code runs it at a place."""
    return Work(
        lora=lora,
        rows=rows,
        sequence_tokens=sequence_tokens,
        precision=precision,
        quantization=quantization,
        gradient_checkpointing=gradient_checkpointing,
        fused=fuses_layers(
            shape.model_type,
            lora=lora,
            device=placement.device,
            precision=precision,
            quantization=quantization,
            sharding=placement.sharding,
        ),
        attention=attention_path(
            Chip(placement.device, placement.capability),
            precision=precision,
            head_width=shape.head_width,
            soft_capped=shape.model_type in CAPPED_SCORES,
        ),
        half_adapter=placement.sharding in ZERO_STAGES and precision != "fp32",
        device=placement.device,
    )


def weight_bytes(shape: ModelShape, work: Work) -> int:
    """Return the bytes of the whole frozen base.

    In 4 or 8 bits the linear layers of the decoder are packed; embedding, norms, head and the
    experts of a mixture are then held in the precision of products.
    """
    count, element = base_parameters(shape) + shape.row_parameters, ELEMENT_BYTES[work.precision]
    if work.quantization == "none":
        return count * element
    packed = shape.layers * linear_parameters(shape)
    outputs = shape.layers * sum(linear.outputs for linear in shape.linears)
    if work.quantization == "8bit":
        return packed + (count - packed) * element + outputs * FLOAT
    scales = packed // BLOCK_4BIT + FLOAT * packed // (256 * BLOCK_4BIT)
    return packed // 2 + scales + (count - packed) * element


def state_bytes(weights_bytes: int) -> tuple[int, int]:
    """Return the bytes of the gradients of trained float32 weights, and of AdamW's two moments.

    `finetune estimate` counts them, and training beside what it measures.

    >>> state_bytes(4)
    (4, 8)
    """
    return weights_bytes, 2 * weights_bytes


@dataclass(frozen=True, slots=True)
class Trained:
    """Bytes on one device for what is trained."""

    adapter: int
    gradients: int
    moments: int
    """AdamW's two, and the float32 copy and gradient that ZeRO steps on."""
    buffers: int


def trained_bytes(count: int, placement: Placement, *, precision: Precision) -> Trained:
    """Return what `count` trained parameters take on one device: training and `estimate` ask."""
    part = -(-count // placement.parts)
    if placement.sharding not in ZERO_STAGES:
        held = (part if placement.sharding == "fsdp" else count) * FLOAT
        return Trained(held, *state_bytes(held), 0)
    element = ELEMENT_BYTES[precision]  # DeepSpeed casts the adapter, too
    adapter = (part if placement.sharding == "zero3" else count) * element
    gradients = (count if placement.sharding == "zero1" else part) * element
    # ZeRO steps on float32 copies of its part, with float32 gradients
    moments = (2 + 2) * part * FLOAT
    return Trained(
        adapter, gradients, moments, 2 * min(BUCKET_ELEMENTS[placement.device], count) * element
    )


def _gathered(shape: ModelShape, work: Work, placement: Placement) -> int:
    """Weights gathered at a time: FSDP by layer, two of them, and what is outside of layers;
    ZeRO-3 as many as its settings allow, on a CPU one layer or the head."""
    if placement.sharding not in SPLITS_WEIGHTS or placement.ranks == 1:
        return 0
    element = ELEMENT_BYTES[work.precision]
    outside = embedding_parameters(shape) + (0 if shape.tied else shape.head.parameters)
    if placement.sharding == "fsdp":
        layers = weight_bytes(shape, work) - outside * element  # in 4 bit they are packed
        return 2 * layers // shape.layers + outside * element
    if placement.device == "gpu":
        return min(base_parameters(shape), LIVE_ELEMENTS) * element
    return max(shape.head.parameters, layer_parameters(shape)) * element
