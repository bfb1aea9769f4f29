"""Memory of activations, work buffers and allocator, from `config.json` and the recipe.

What a forward pass keeps for its backward pass is counted tensor by tensor, as the code keeps it
(finetune/models/fused.py on a CPU; PEFT's and transformers' own layers elsewhere) and as
tests/parity/test_footprint.py finds it with autograd's hooks. What an allocator adds is measured:
`finetune estimate` states its error. On a GPU no mask is made, products run under autocast, and
what is there for a moment is counted, too (tests/fake_cuda).

Legend: T tokens of a row, S tokens of a micro-batch, E hidden width, F width of the MLP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from finetune.sizing.attention_paths import AttentionPath
from finetune.sizing.policy import ELEMENT_BYTES, FLOAT, Device, head_chunk_tokens
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
PADDING = 1.3
"""Places for each token where documents are padded to those of similar length, which are at most
twice as long (finetune/models/attention/grouped.py). Assumed."""
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
    attention: AttentionPath = "documents"
    half_adapter: bool = False
    """True if the adapter, too, is in half precision: DeepSpeed casts it with the base."""
    supervised_share: float = 1.0
    """Fraction of supervised tokens."""
    device: Device = "cpu"

    @property
    def tokens(self) -> int:
        """Tokens S of the micro-batch."""
        return self.rows * self.sequence_tokens

    @property
    def element(self) -> int:
        """Bytes of an activation; also around the matrices of a base in 4 or 8 bits."""
        return ELEMENT_BYTES[self.precision]

    @property
    def autocasts(self) -> bool:
        """Return whether the adapter's products run in the base's precision."""
        return self.precision != "fp32"

    @property
    def adapter_element(self) -> int:
        """Bytes of an input of the adapter: under autocast those of an activation."""
        return self.element if self.half_adapter or self.autocasts else FLOAT


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
        + _rounded_adapter(shape, work)
    )


def temporary_bytes(shape: ModelShape, work: Work) -> int:
    """Return what is held for a moment: within one layer, or a chunk of logits, in bytes."""
    return max(in_layer_bytes(shape, work), head_bytes(shape, work))


def head_bytes(shape: ModelShape, work: Work) -> int:
    """Return what is held for a moment at the head, in bytes.

    With gradient checkpointing on a GPU the layer that is computed again (`kept_bytes`) is not
    there yet while there are logits.
    """
    logits = logit_bytes(shape, work)
    if work.device == "gpu" and work.gradient_checkpointing:
        logits -= layer_bytes(shape, work)
    return logits


def in_layer_bytes(shape: ModelShape, work: Work) -> int:
    """Return what is held for a moment within one layer, in bytes: gradients.

    On a GPU: of three tensors of its widest part and of its input; weights in 4 or 8 bits are
    widened, one matrix at a time. DoRA's forward pass may hold more.
    """
    if work.device == "cpu":  # its allocator's part was measured with this (benchmarks)
        return layer_bytes(shape, work)
    routed = max(1, shape.experts_per_token) * shape.inner
    widest = max(routed, shape.heads * shape.head_width)
    matrix = max((linear.inputs * linear.outputs for linear in shape.linears), default=0)
    widened = matrix * work.element if work.quantization != "none" else 0
    gradients = 3 * work.tokens * (widest + shape.hidden) * work.element + widened
    if not work.lora.dora:
        return gradients
    return max([gradients, *(_dora_bytes(linear, work) for linear in targeted(shape, work.lora))])


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
    chunk = head_chunk_tokens(shape.vocabulary, device=work.device)
    rows = min(supervised_tokens, chunk)
    plain = not shape.soft_capped and not head_is_targeted(shape, work.lora)
    if plain:  # one buffer; in half precision a float32 copy too
        copies = FLOAT if work.element == FLOAT else FLOAT + work.element
    else:  # logits, their capped or float32 form, log-softmax and its gradient
        copies = 3 * FLOAT + work.element
    return rows * shape.vocabulary * copies


def _rounded_adapter(shape: ModelShape, work: Work) -> int:
    """A and B of a layer in half precision, which autocast makes and the backward pass reads."""
    if not work.autocasts or work.element == FLOAT or work.half_adapter:
        return 0
    pairs = sum(linear.inputs + linear.outputs for linear in targeted(shape, work.lora))
    return work.lora.rank * pairs * work.element


def _norms(shape: ModelShape, work: Work, *, count: int) -> int:
    """RMSNorm keeps its input in float32 and the inverse norm; LayerNorm input, mean, deviation."""
    if shape.layer_norm:
        return work.tokens * count * (shape.hidden + 2) * work.element
    return work.tokens * count * (shape.hidden + 1) * FLOAT


def _attention(shape: ModelShape, work: Work) -> int:
    """Queries, keys, values, result and log-sum-exp; in groups all are padded, and keys and values
    repeated for every head, beside the result without padding."""
    queries, keys = shape.heads * shape.head_width, shape.key_heads * shape.head_width
    kept = (2 * queries + 2 * keys) * work.element + shape.heads * FLOAT
    if work.attention == "grouped":
        padded = PADDING * (4 * queries * work.element + shape.heads * FLOAT)
        kept = int(padded) + queries * work.element
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
        shared = not _casts_inputs(work) and lora.dropout == 0
        there = shared and (linear.reads in once or linear.reads == "heads")
        inner = work.fused and linear.reads == "inner" and _mlp_is_fused(shape, work)
        once.add(linear.reads)
        if not (there or inner):
            numbers += linear.inputs * (2 if lora.dropout else 1)
        if not work.fused:
            numbers += lora.rank
    kept = work.tokens * numbers * work.adapter_element
    return kept + (sum(_dora(linear, work) for linear in updated) if lora.dora else 0)


def _casts_inputs(work: Work) -> bool:
    """Return whether each adapter makes a copy of its input in another type: before products in
    float32, and DoRA, which PEFT hands a float32 input unless the base is quantised."""
    if work.element != work.adapter_element:
        return True
    return work.lora.dora and work.autocasts and work.quantization == "none"


def _dora(linear: Linear, work: Work) -> int:
    """Both summands of the output, and magnitudes; on a CPU, whose bytes are counted as they are
    kept, also the identity through which PEFT multiplies B and A."""
    outputs = work.tokens * linear.outputs * 2 * work.element
    identity = linear.inputs * (linear.inputs + work.lora.rank) * work.element
    return outputs + (identity if work.device == "cpu" else 0) + 3 * linear.outputs * FLOAT


def _dora_bytes(linear: Linear, work: Work) -> int:
    """Return what the norms of a layer's updated weights take for a moment, in bytes.

    The product of B and A is made from an identity (in float32 and rounded), then four matrices of
    the layer's size: the product, the weight, the scaled product and their sum.
    """
    element = work.element if work.quantization != "none" else FLOAT
    square, matrix = linear.inputs**2, linear.inputs * linear.outputs
    rounded = work.element if work.autocasts else 0
    product = square * (FLOAT + rounded) + matrix * work.element
    norms = square * (rounded or FLOAT) + 4 * matrix * element
    return max(product, norms)


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
