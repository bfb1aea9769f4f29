"""Memory that `estimate` computes for GPUs beside figures that others have published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from finetune.sizing.memory import Placement, device_memory, work_on
from finetune.sizing.policy import GIB
from finetune.sizing.shape import model_shape
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Lora, Sharding
from tests.support.model_shapes import LLAMA_8B

LLAMA_70B = LLAMA_8B | {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_attention_heads": 64,
    "num_hidden_layers": 80,
}


@dataclass(frozen=True, slots=True)
class Published:
    """One row of 2,048 tokens with gradient checkpointing, rank 16 on all linear layers, bf16."""

    config: dict[str, Any]
    least_gib: float
    most_gib: float
    source: str
    quantization: Quantization = "none"
    sharding: Sharding = "none"
    ranks: int = 1


TABLE = {
    "8B LoRA": Published(
        LLAMA_8B, 16 * 1e9 / GIB, 22 * 1e9 / GIB, "Llama 3.1 on the Hub: 16 GB; Unsloth: 22 GB"
    ),
    "8B QLoRA": Published(
        LLAMA_8B,
        6 * 1e9 / GIB,
        10,
        "Llama 3.1 on the Hub and Unsloth: 6 GB at least; trainers on PEFT: 7.5 to 10 GiB",
        quantization="4bit",
    ),
    "70B QLoRA, 8 GPUs": Published(
        LLAMA_70B,
        41 * 1e9 / GIB,
        1.05 * 48 * 1e9 / GIB,
        "Unsloth: 41 GB; Llama 3.1 on the Hub: 48 GB",
        quantization="4bit",
        sharding="ddp",
        ranks=8,
    ),
    "70B fsdp, 8 GPUs": Published(
        LLAMA_70B,
        26,
        32,
        "fully_shard: an eighth of 131 GiB, embedding and head whole, two layers, activations",
        sharding="fsdp",
        ranks=8,
    ),
    "70B zero3, 8 GPUs": Published(
        LLAMA_70B,
        22,
        27,
        "an eighth of 131 GiB, a billion parameters gathered, activations",
        sharding="zero3",
        ranks=8,
    ),
}
"""Hub: huggingface.co/blog/llama31, training memory. Unsloth: its requirements page."""


def _gib(case: Published, *, rows: int = 1, again: bool = True) -> float:
    shape, place = model_shape(case.config), Placement(case.sharding, case.ranks)
    work = work_on(
        shape,
        place,
        lora=Lora(rank=16),
        rows=rows,
        sequence_tokens=2048,
        precision="bf16",
        quantization=case.quantization,
        gradient_checkpointing=again,
    )
    return device_memory(shape, work, place).total / GIB


@pytest.mark.parametrize("name", TABLE)
def test_memory_is_within_what_is_published(name: str) -> None:
    """For LoRA, 4 bits and split weights, from 8 to 70 billion parameters."""
    case = TABLE[name]
    assert case.least_gib <= _gib(case) <= case.most_gib, case.source


def test_four_bits_take_less_at_every_size() -> None:
    """A base in 4 bits computes as one in bf16 does, so it needs less whatever the rows, with
    gradient checkpointing and without."""
    for rows in (1, 8, 64):
        for again in (False, True):
            plain, packed = (
                _gib(TABLE[name], rows=rows, again=again) for name in ("8B LoRA", "8B QLoRA")
            )
            assert packed < plain, (rows, again)


def test_memory_of_a_gpu_grows_with_tokens_and_not_with_their_square() -> None:
    """No mask over all tokens of a micro-batch is kept: 64 rows take less than 64 times one."""
    one, two, many = (_gib(TABLE["8B LoRA"], rows=rows) for rows in (8, 16, 64))
    assert many - two == pytest.approx(6 * (two - one), rel=0.01)
