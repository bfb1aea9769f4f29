"""Memory of activations, work buffers and allocator, from `config.json` and the recipe.

What a forward pass keeps for its backward pass is counted tensor by tensor, as the code keeps it
(finetune/models/fused.py on a CPU; PEFT's and transformers' own layers elsewhere) and as
tests/parity/test_footprint.py finds it with autograd's hooks. What an allocator adds is measured:
`finetune estimate` states its error.

Legend: T tokens of a row, S tokens of a micro-batch, E hidden width, F width of the MLP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from finetune.sizing.policy import ELEMENT_BYTES, FLOAT, head_chunk_tokens
from finetune.sizing.shape import (
    Linear,
    ModelShape,
    expert_parameters,
    head_is_targeted,
    targeted,
)
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Lora, Precision

CPU_ALLOCATOR_SHARES: Mapping[bool, float] = {False: 1.25, True: 0.9}
"""glibc's allocator holds this much of one whole forward pass beside what is in use, without and
with gradient checkpointing (measured: benchmarks/estimate_error.py)."""
GATHERING_SHARES: Mapping[bool, float] = {False: 3.2, True: 2.8}
"""The same under ZeRO-3, which takes and gives back memory for every module's weights."""


@dataclass(frozen=True, slots=True)
class Work:
    """One micro-batch, as far as memory depends on it."""

    lora: Lora
    rows: int
    sequence_tokens: int
    precision: Precision
    quantization: Quantization = "none"
    gradient_checkpointing: bool = False
    fused: bool = False
    """True if the layers of finetune/models/fused.py run: on a CPU, unsharded, in fp32."""
    masked: bool = False
    """True if attention gets a mask over all of S: on a GPU without flash attention."""
    half_adapter: bool = False
    """True if the adapter, too, is in half precision: DeepSpeed casts it with the base."""
    supervised_share: float = 1.0
    """Fraction of supervised tokens."""

    @property
    def tokens(self) -> int:
        """Tokens S of the micro-batch."""
        return self.rows * self.sequence_tokens

    @property
    def element(self) -> int:
        """Bytes of an activation. A base in 4 or 8 bits computes around its matrices in fp32."""
        return FLOAT if self.quantization != "none" else ELEMENT_BYTES[self.precision]

    @property
    def adapter_element(self) -> int:
        """Bytes of an input of the adapter: PEFT casts it to the adapter's own precision."""
        return self.element if self.half_adapter else FLOAT


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """Measurements of a sequence that was run; enough for any architecture."""

    kept: int
    """Bytes that its forward pass keeps without gradient checkpointing."""
    layers: int
    input_bytes: int
    """Of the input of a layer."""
    tokens: int
    vocabulary: int


def measured_bytes(row: MeasuredRow, *, rows: int, gradient_checkpointing: bool) -> int:
    """Return what `kept_bytes`, `temporary_bytes` and `allocator_bytes` count together, from one
    row that was run on a CPU, in bytes.

    Both begin with the bytes that a forward pass keeps: measured in training, where any
    architecture may come, counted where nothing is run. These are the same within 4 %
    (tests/parity/test_footprint.py), and from there on the sums are the same.

    >>> row = MeasuredRow(kept=4000, layers=20, input_bytes=10, tokens=5, vocabulary=10)
    >>> measured_bytes(row, rows=2, gradient_checkpointing=False)
    18400
    >>> measured_bytes(row, rows=2, gradient_checkpointing=True)
    8400
    """
    layer = row.kept // row.layers
    held = row.layers * row.input_bytes + layer if gradient_checkpointing else row.kept
    chunk = min(rows * row.tokens, head_chunk_tokens(row.vocabulary)) * row.vocabulary * FLOAT
    allocator = int(CPU_ALLOCATOR_SHARES[gradient_checkpointing] * rows * row.kept)
    return rows * held + max(rows * layer, chunk) + allocator


def kept_bytes(shape: ModelShape, work: Work) -> int:
    """Return the bytes that a forward pass keeps for its backward pass.

    With gradient checkpointing: every layer's input, and one layer that is computed again.
    """
    layer, hidden = layer_bytes(shape, work), work.tokens * shape.hidden * work.element
    if work.gradient_checkpointing:
        return shape.layers * hidden + layer + _outside_bytes(shape, work)
    # The first norm's input needs no gradient, so it is not kept, unless rows of it are trained.
    first = 0 if shape.new_tokens else _norms(shape, work, count=1)
    return max(0, shape.layers * layer - first) + _outside_bytes(shape, work)


def layer_bytes(shape: ModelShape, work: Work) -> int:
    """Return what one decoder layer keeps for its backward pass, in bytes."""
    return (
        _norms(shape, work, count=shape.block_norms)
        + _attention(shape, work)
        + _linear_inputs(shape, work)
        + (_experts(shape, work) if shape.experts else _mlp(shape, work))
    )


def temporary_bytes(shape: ModelShape, work: Work) -> int:
    """Return what is held for a moment: one layer's gradients or a chunk of logits, in bytes."""
    return max(layer_bytes(shape, work), logit_bytes(shape, work))


def allocator_bytes(shape: ModelShape, work: Work, *, gathers: bool = False) -> int:
    """Return what a CPU's allocator holds and cannot use, in bytes: an estimate.

    `gathers`: whether weights are gathered module by module (ZeRO-3).
    """
    shares = GATHERING_SHARES if gathers else CPU_ALLOCATOR_SHARES
    whole = kept_bytes(shape, replace(work, gradient_checkpointing=False))
    return int(shares[work.gradient_checkpointing] * whole)


def logit_bytes(shape: ModelShape, work: Work) -> int:
    """Return the bytes of a chunk of logits and its temporaries."""
    supervised_tokens = max(1, int(work.tokens * work.supervised_share))
    rows = min(supervised_tokens, head_chunk_tokens(shape.vocabulary))
    plain = not shape.soft_capped and not head_is_targeted(shape, work.lora)
    if plain:  # one buffer; in half precision a float32 copy, and a half of its exponentials
        copies = FLOAT if work.element == FLOAT else FLOAT + 2 * work.element
    else:  # logits, their capped or float32 form, log-softmax and its gradient
        copies = 3 * FLOAT + work.element
    return rows * shape.vocabulary * copies


def _norms(shape: ModelShape, work: Work, *, count: int) -> int:
    """RMSNorm keeps its input in float32 and the inverse norm; LayerNorm input, mean, deviation."""
    if shape.layer_norm:
        return work.tokens * count * (shape.hidden + 2) * work.element
    return work.tokens * count * (shape.hidden + 1) * FLOAT


def _attention(shape: ModelShape, work: Work) -> int:
    """Queries, keys, values, result and log-sum-exp; with a mask, that too, in every layer."""
    queries, keys = shape.heads * shape.head_width, shape.key_heads * shape.head_width
    spread = queries if work.masked else keys  # with a mask, transformers repeats the keys
    kept = (2 * queries + 2 * spread) * work.element + shape.heads * FLOAT
    if work.masked:
        kept += work.tokens * work.element
    if shape.norms_queries:
        kept += (queries + keys + shape.heads + shape.key_heads) * FLOAT
    return work.tokens * kept


def _linear_inputs(shape: ModelShape, work: Work) -> int:
    """Activations kept by adapters: their input, x A, and more with dropout or DoRA.

    An input in the adapter's precision is one tensor for all that read it; a cast one is made for
    each of them.
    """
    lora, updated = work.lora, targeted(shape, work.lora)
    once: set[str] = set()
    numbers = 0
    for linear in updated:
        shared = work.element == work.adapter_element and lora.dropout == 0
        there = shared and (linear.reads in once or linear.reads == "heads")
        inner = work.fused and linear.reads == "inner" and _mlp_is_fused(shape, work)
        once.add(linear.reads)
        if not (there or inner):
            numbers += linear.inputs * (2 if lora.dropout else 1)
        if not work.fused:
            numbers += lora.rank
    kept = work.tokens * numbers * work.adapter_element
    return kept + (sum(_dora(linear, work) for linear in updated) if lora.dora else 0)


def _dora(linear: Linear, work: Work) -> int:
    """Both summands of the output, and the identity through which PEFT multiplies B and A."""
    outputs = work.tokens * linear.outputs * (work.element + work.adapter_element)
    identity = linear.inputs * (linear.inputs + work.lora.rank) + 3 * linear.outputs
    return outputs + identity * FLOAT


def _mlp(shape: ModelShape, work: Work) -> int:
    if shape.layer_norm:  # GPT-2: its own GELU keeps four tensors
        return work.tokens * 4 * shape.inner * work.element
    return work.tokens * (2 if _mlp_is_fused(shape, work) else 3) * shape.inner * work.element


def _mlp_is_fused(shape: ModelShape, work: Work) -> bool:
    reads = [linear.reads for linear in targeted(shape, work.lora)]
    return work.fused and reads.count("mlp") == 2 and reads.count("inner") == 1


def _experts(shape: ModelShape, work: Work) -> int:
    """Each token's chosen experts, and all weights of the layer with their updates added."""
    adapted = work.lora.target_modules == "all-linear"
    width = 4 * shape.inner + 2 * shape.hidden if adapted else 3 * shape.inner + shape.hidden
    routed = work.tokens * shape.experts_per_token * width * work.element
    router = work.tokens * ((shape.hidden if adapted else 0) + 6 * shape.experts) * FLOAT
    return routed + router + (expert_parameters(shape) * work.element if adapted else 0)


def _outside_bytes(shape: ModelShape, work: Work) -> int:
    """The last norm, the rotary tables, and before the head the gradient of the hidden states; for
    rows of new tokens also the hidden states, and the probabilities of these."""
    width = 2 * shape.hidden + shape.new_tokens if shape.new_tokens else shape.hidden
    supervised = work.supervised_share * width * work.element
    rotary = 0 if shape.positions else 2 * shape.head_width * work.element
    return _norms(shape, work, count=1) + int(work.tokens * (supervised + rotary + 8))
