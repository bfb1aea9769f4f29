"""Memory per device in training: weights, adapter, optimizer state, activations, buffers.

How ranks share it is that of finetune/train/sharding.py. Frozen weights are most of it, so that
only what splits them (`zero3`, `fsdp`) makes a large base fit; gradients and moments exist for the
adapter alone and are small on any rank.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from finetune.sizing.attention_paths import Chip, attention_path
from finetune.sizing.footprint import (
    Work,
    allocator_bytes,
    head_bytes,
    in_layer_bytes,
    kept_bytes,
    logit_bytes,
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
    whole, scales = weight_bytes(shape, work), _scale_bytes(shape, work)
    splits = placement.sharding in SPLITS_WEIGHTS
    weights = (whole - scales) // placement.ranks if splits else whole - scales
    trained = trained_bytes(
        sum(adapter_parameters(shape, work.lora).values()),
        placement,
        precision=work.precision,
    )
    on_gpu, host = placement.device == "gpu", 0
    gathers = placement.sharding == "zero3" and placement.ranks > 1
    gathered, buffers = _for_a_moment(shape, work, placement)
    if on_gpu and placement.offload != "none":
        whole_state = placement.sharding == "fsdp"  # whose policy is one for all parameters
        if placement.offload == "all" or whole_state:
            host, weights = weights, 0
        host, trained = host + trained.moments, replace(trained, moments=0)
        if whole_state:
            host += trained.adapter + trained.gradients
            trained = replace(trained, adapter=0, gradients=0)
    return Memory(
        weights=weights + scales,
        gathered=gathered,
        adapter=trained.adapter,
        gradients=trained.gradients,
        optimizer_state=trained.moments,
        communication_buffers=trained.buffers,
        activations=kept_bytes(shape, work),
        work_buffers=buffers,
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
    return packed // 2 + _scale_bytes(shape, work) + (count - packed) * element


def _scale_bytes(shape: ModelShape, work: Work) -> int:
    """Return the bytes of the scales of weights in 4 bits."""
    if work.quantization != "4bit":
        return 0
    packed = shape.layers * linear_parameters(shape)
    return packed // BLOCK_4BIT + FLOAT * packed // (256 * BLOCK_4BIT)


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


def _for_a_moment(shape: ModelShape, work: Work, placement: Placement) -> tuple[int, int]:
    """Return the bytes of gathered weights, and of what is computed with them, at the peak.

    FSDP gathers by layer, and a head that is not the embedding separately; ZeRO-3 as many weights
    as its settings allow, on a CPU one layer or the head.
    """
    if placement.sharding not in SPLITS_WEIGHTS or placement.ranks == 1:
        return 0, temporary_bytes(shape, work)
    element = ELEMENT_BYTES[work.precision]
    if placement.sharding == "zero3":
        gathered = max(shape.head.parameters, layer_parameters(shape)) * element
        if placement.device == "gpu":
            gathered = min(base_parameters(shape), LIVE_ELEMENTS) * element
        return gathered, temporary_bytes(shape, work)
    tables = embedding_parameters(shape) + (0 if shape.tied else shape.head.parameters)
    layers = weight_bytes(shape, work) - _scale_bytes(shape, work) - tables * element
    layer = layers // shape.layers
    in_layers = (3 * layer, in_layer_bytes(shape, work))  # this one, the next, and what it came in
    if shape.tied:  # both matrices are in the unit of the whole model, which stays gathered
        return in_layers[0] + tables * element, temporary_bytes(shape, work)
    return max(in_layers, _at_head(shape, work, layer=layer), key=sum)


def _at_head(shape: ModelShape, work: Work, *, layer: int) -> tuple[int, int]:
    """Return the same where FSDP gathers the head: twice, since what it receives lies in a buffer
    first, beside that of the last layer; logits come when both buffers are free again."""
    head = shape.head.parameters * ELEMENT_BYTES[work.precision]
    twice, logits = 2 * head + layer, logit_bytes(shape, work)
    absent = logits - head_bytes(shape, work)  # of `kept_bytes`: the layer that is computed again
    peak = max(twice, head + logits) - absent
    return min(peak, twice), max(0, peak - twice)
