"""Sizes of the batches of an evaluation, and the memory that they need on GPUs."""

from __future__ import annotations

from finetune.sizing.layers_over_gpus import Need, need_of
from finetune.sizing.memory import Placement, work_on
from finetune.sizing.shape import ModelShape
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Lora, Precision

# Fixed, not measured: the size of a batch changes the last bits of a score, and the same recipe
# must give the same scores on the same machine.
SCORE_TOKENS = {"cpu": 2048, "cuda": 16384}
"""Tokens that a model scores at once, by kind of device."""
CACHE_BYTES = {"cpu": 2**30, "cuda": 2**32}
"""Most bytes of keys and values in generation, by kind of device; rows without room wait."""


def evaluation_need(
    shape: ModelShape,
    *,
    lora: Lora,
    sequence_tokens: int,
    precision: Precision,
    quantization: Quantization,
) -> Need:
    """Return the bytes of a base with its adapter on GPUs, where it is scored and generates."""
    work = work_on(
        shape,
        Placement(device="gpu"),
        lora=lora,
        rows=max(1, SCORE_TOKENS["cuda"] // sequence_tokens),
        sequence_tokens=sequence_tokens,
        precision=precision,
        quantization=quantization,
    )
    return need_of(shape, work, cache_bytes=CACHE_BYTES["cuda"])
