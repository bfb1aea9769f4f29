"""Spread of a base over the GPUs of one process, layer by layer, where one GPU does not hold it.

For scoring and generation: weights with their adapter, the cache of keys and values, and what a
forward pass takes. The first GPU has the embedding, the last the head, unless both are one matrix.
Never run on cards: the bytes are estimates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from finetune.sizing.footprint import Work, logit_bytes
from finetune.sizing.memory import weight_bytes
from finetune.sizing.policy import FLOAT, GPU_CONTEXT_BYTES, GPU_RESERVE_BYTES
from finetune.sizing.shape import ModelShape, adapter_parameters, embedding_parameters

SHARE = 0.9
"""Share of a GPU's memory that may be planned for."""
_PROCESS_BYTES = GPU_CONTEXT_BYTES + GPU_RESERVE_BYTES


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of a base where it is scored and generates."""

    layers: int
    layer: int
    """Of the weights of one layer, with its adapter."""
    first: int
    """Of what stands before the layers, and of the head where it is the embedding."""
    last: int
    """Of a head of its own."""
    cache: int
    """Of the keys and values of one layer, at most."""
    work: int
    """Of a forward pass, on each GPU."""


def need_of(shape: ModelShape, work: Work, *, cache_bytes: int) -> Need:
    """Return the bytes of a base. `work`: a batch of scoring; `cache_bytes`: of generation."""
    whole = weight_bytes(shape, work)
    layer = whole - weight_bytes(replace(shape, layers=shape.layers - 1), work)
    outside = whole - shape.layers * layer
    embedding = embedding_parameters(shape)
    head = 0 if shape.tied else shape.head.parameters
    last = outside * head // max(1, embedding + head)
    adapter = sum(adapter_parameters(shape, work.lora).values()) * FLOAT
    return Need(
        layers=shape.layers,
        layer=layer + adapter // shape.layers,
        first=outside - last,
        last=last,
        cache=cache_bytes // shape.layers,
        work=forward_bytes(shape, work) + _PROCESS_BYTES,
    )


def forward_bytes(shape: ModelShape, work: Work) -> int:
    """Return what a forward pass without gradients holds at a time: a layer's, or logits.

    The residual stream with its norm, and either queries, keys and values or the inside of the MLP
    with the cast of it that an adapter reads.
    """
    heads = 2 * (shape.heads + shape.key_heads) * shape.head_width * work.element
    inside = shape.inner * max(1, shape.experts_per_token) * (3 * work.element + FLOAT)
    stream = shape.hidden * (2 * work.element + 2 * FLOAT)
    return max(work.tokens * (stream + max(heads, inside)), logit_bytes(shape, work))


def layers_over(need: Need, gpus: int) -> tuple[int, ...]:
    """Return the number of the GPU of each layer, so that each GPU has about as many bytes.

    >>> need = Need(layers=6, layer=10, first=10, last=10, cache=0, work=0)
    >>> layers_over(need, 2)
    (0, 0, 0, 1, 1, 1)
    >>> layers_over(Need(layers=6, layer=10, first=40, last=0, cache=0, work=0), 2)
    (0, 1, 1, 1, 1, 1)
    """
    each = need.layer + need.cache
    whole = max(1, need.first + need.layers * each + need.last)
    middles = (need.first + number * each + each // 2 for number in range(need.layers))
    return tuple(min(gpus - 1, middle * gpus // whole) for middle in middles)


def gpus_needed(need: Need, *, memory_bytes: int, visible: int) -> int | None:
    """Return the smallest number of GPUs of this memory that hold a base, at most `visible`.

    All of them where they hold the weights and, by the estimate, not all that is computed: it is
    tried. None if they do not hold the weights.
    """
    for gpus in range(1, visible + 1):
        if _fits(need, gpus, memory_bytes):
            return gpus
    bare = replace(need, cache=0, work=_PROCESS_BYTES)
    return visible if _fits(bare, visible, memory_bytes) else None


def held_bytes(need: Need, gpus: int) -> list[int]:
    """Return what each GPU holds at its peak."""
    held = [need.work] * gpus
    held[0] += need.first
    held[-1] += need.last
    for gpu in layers_over(need, gpus):
        held[gpu] += need.layer + need.cache
    return held


def _fits(need: Need, gpus: int, memory_bytes: int) -> bool:
    return gpus <= need.layers and max(held_bytes(need, gpus)) <= SHARE * memory_bytes
