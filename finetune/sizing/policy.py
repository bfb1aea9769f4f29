"""Rules behind every `auto` of a training run, with their constants: facts -> decision.

`finetune estimate` asks them before anything runs, `finetune train` on the machine itself, so that
both decide alike. One rule only predicts: `fuses_layers` predicts for `estimate` what
finetune/models/fused.py sees at the tensors of each call (tests/parity/test_footprint.py holds both
together). Nothing heavy is imported: what torch knows of a device is handed in as facts.

| `auto` of              | depends on                                | rule                      |
|------------------------|-------------------------------------------|---------------------------|
| `train.precision`      | device, whether it has bf16, architecture | `choose_precision`        |
| `train.sharding`       | ranks, memory, precision, quantization    | `choose_sharding`         |
| `run.micro_batch_size` | rows of a step per rank, device, memory   | `choose_micro_batch_rows` |
| `run.memory_gib`, CPU  | memory of the machine, processes on it    | `budget_bytes`            |
| `run.memory_gib`, GPU  | its free memory                           | `gpu_budget_bytes`        |
| rank after PiSSA       | initialisation, rank, alpha               | `handed_on`               |
| document attention     | architecture, device                      | `attends_by_document`     |
| fused layers           | the same, adapter, precision, sharding    | `fuses_layers`            |
| chunk of logits        | vocabulary, device                        | `head_chunk_tokens`       |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Lora, Precision, Sharding

Device = Literal["cpu", "gpu"]

GIB = 2**30
FLOAT = 4
"""Bytes of a float32: of the adapter, its gradients and moments in every precision."""
ELEMENT_BYTES: Mapping[Precision, int] = {"fp32": 4, "bf16": 2, "fp16": 2}

SHARE_OF_MEMORY = 0.6
"""Share of a machine's memory that training may use unless `run.memory_gib` is given."""
GPU_CONTEXT_BYTES = GIB // 2
"""Memory of CUDA and its kernels on a GPU, beside torch's tensors. Assumed, as all of these three:
they were not measured."""
GPU_RESERVE_BYTES = GIB
"""Memory of a GPU that is left free for other libraries in training: NCCL's buffers, kernels that
are loaded when first used."""
GPU_FRAGMENTS = 0.05
"""Share of a GPU that is left free for the gaps between tensors (PYTORCH_ALLOC_CONF:
finetune/launch/environment.py)."""
CPU_TOKENS = 1024
"""Most tokens of a micro-batch on a CPU, where larger matrix products are no faster."""
CPU_PROCESS_BYTES = 490 * 10**6
"""Python with torch, transformers, PEFT and Accelerate (measured)."""
HEAD_CHUNK_BYTES = 64 * 2**20
"""float32 logits that are held at a time on a CPU (finetune/models/head.py)."""
GPU_HEAD_CHUNK_BYTES = 2**30
GPU_HEAD_CHUNK_TOKENS = (512, 1024)
"""Fewest and most tokens of such a chunk on a GPU. A product of t tokens with the head reads it
once for t multiplications of each weight; an A100 needs 153 of them to be busy, an H100 295."""
BUCKET_ELEMENTS: Mapping[Device, int] = {"cpu": 2_000_000, "gpu": 20_000_000}
"""DeepSpeed's reduce bucket, in elements."""

PACKED_BYTES: Mapping[Quantization, float] = {"8bit": 1.15, "4bit": 0.65}
"""Bytes of a parameter of a quantised base, its embedding and head in half precision among them
(those of Llama-3-8B; of a larger base it is less)."""

ZERO_STAGES: Mapping[Sharding, int] = {"zero1": 1, "zero2": 2, "zero3": 3}
"""Stages of ZeRO (Rajbhandari et al. 2020)."""
SPLITS_WEIGHTS: frozenset[Sharding] = frozenset(("zero3", "fsdp"))
"""Shardings that split the frozen weights across ranks."""
NEEDS_LAUNCHER: frozenset[Sharding] = frozenset(("ddp", "fsdp"))
"""Shardings that need a launcher; DeepSpeed does not."""
DOCUMENT_ATTENTION = frozenset({"llama", "mistral", "mixtral", "qwen2", "qwen3", "gemma3_text"})
"""Architectures whose attention, mask and head were read and tested (tests/parity/test_packed.py):
on a CPU their attention runs document by document."""

OVERFLOWS_IN_FP16 = frozenset({"gemma3", "gemma3_text", "gemma3n", "gemma3n_text"})
"""Architectures whose activations exceed 65,504, the largest number of fp16
(https://unsloth.ai/blog/gemma3)."""


def choose_precision(
    asked: Literal["auto", Precision], *, device: Device, has_bf16: bool, model_type: str
) -> Precision:
    """Return what `auto` means: fp32 on a CPU, bf16 on a GPU that has it, fp16 on an older one.

    What overflows in fp16 has fp32 there.

    >>> choose_precision("auto", device="cpu", has_bf16=True, model_type="llama")
    'fp32'
    >>> choose_precision("auto", device="gpu", has_bf16=False, model_type="llama")
    'fp16'
    >>> choose_precision("auto", device="gpu", has_bf16=False, model_type="gemma3_text")
    'fp32'
    """
    if asked != "auto":
        return asked
    if device == "cpu":
        return "fp32"
    if has_bf16:
        return "bf16"
    return "fp32" if model_type in OVERFLOWS_IN_FP16 else "fp16"


def budget_bytes(asked_gib: float | None, *, device_bytes: float, processes: int = 1) -> int:
    """Return the bytes that one process on CPUs may use: what the recipe asks for, or its share.

    `processes` share the memory of `device_bytes`. 0 if neither is known.

    >>> budget_bytes(1.5, device_bytes=0)
    1610612736
    >>> budget_bytes(None, device_bytes=1000, processes=2)
    300
    """
    if asked_gib is not None:
        return int(asked_gib * GIB)
    return int(SHARE_OF_MEMORY * device_bytes) // processes


def gpu_budget_bytes(asked_gib: float | None, *, free_bytes: float, total_bytes: float) -> int:
    """Return the bytes that tensors may fill on a GPU: what is free without a reserve, and no more
    than the recipe asks for.

    >>> gpu_budget_bytes(None, free_bytes=79.5 * GIB, total_bytes=80 * GIB) / GIB
    74.5
    >>> gpu_budget_bytes(20, free_bytes=79.5 * GIB, total_bytes=80 * GIB) / GIB
    20.0
    """
    room = int(free_bytes - GPU_RESERVE_BYTES - GPU_FRAGMENTS * total_bytes)
    return room if asked_gib is None else min(room, int(asked_gib * GIB))


def packed_bytes(parameters: int, *, precision: Precision, quantization: Quantization) -> int:
    """Return about how many bytes the weights of a base take, from their number alone.

    >>> packed_bytes(1000, precision="bf16", quantization="none")
    2000
    """
    each = ELEMENT_BYTES[precision] if quantization == "none" else PACKED_BYTES[quantization]
    return int(parameters * each)


def leaves_room(weights_bytes: int, *, budget_bytes: float) -> bool:
    """Return whether `sharding: auto` lets each rank hold all weights: they fill no more than half.

    >>> leaves_room(5, budget_bytes=10), leaves_room(6, budget_bytes=10)
    (True, False)
    """
    return 2 * weights_bytes <= budget_bytes


def choose_sharding(
    asked: Literal["auto", Sharding],
    *,
    ranks: int,
    precision: Precision,
    quantization: Quantization,
    new_tokens: bool,
    fits: Callable[[], bool],
) -> Sharding:
    """Return what `auto` means: `none` for one rank, `ddp` where the model fits, else `zero3`, or
    `fsdp` where only that can train it.

    `fits()`, whether one device holds the whole model in training, is asked only where it decides:
    what neither can train (`refuse_sharding`) stays whole.
    """
    if asked != "auto":
        return asked
    if ranks == 1:
        return "none"
    for sharding in sorted(SPLITS_WEIGHTS, reverse=True):
        refused = refuse_sharding(
            sharding, precision=precision, quantization=quantization, new_tokens=new_tokens
        )
        if refused is None:
            return "ddp" if fits() else sharding
    return "ddp"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Reason against a sharding."""

    short: str
    """For a table of settings."""
    reason: str
    """For an error, behind `train.sharding: VALUE`; it names the alternative."""


def refuse_sharding(
    sharding: Sharding, *, precision: Precision, quantization: Quantization, new_tokens: bool
) -> Refusal | None:
    """Return why a sharding cannot train this base, or None if it can."""
    if sharding in SPLITS_WEIGHTS and new_tokens:
        return Refusal(
            "new tokens need the embedding whole",
            "splits the embedding, beside which the rows of new tokens (vocabulary) are kept "
            "whole; take ddp or zero2",
        )
    if sharding in SPLITS_WEIGHTS and quantization == "8bit":
        return Refusal(
            "weights in 8bit are not split",
            "splits the base's weights, but not those of base.quantization: 8bit, which "
            "bitsandbytes finds only where they were loaded; take ddp or zero2, or quantization: "
            "4bit",
        )
    if sharding == "zero3" and quantization == "4bit":
        return Refusal(
            "bitsandbytes keeps what ZeRO-3 gathers",
            "splits the base's weights, but in base.quantization: 4bit bitsandbytes keeps every "
            "matrix that was gathered, so that each rank holds the whole base and more; take fsdp",
        )
    if sharding in ZERO_STAGES and precision == "fp16":
        return Refusal(
            "DeepSpeed does not resume exactly in fp16",
            "with precision fp16 would let DeepSpeed skip steps by its own loss scale, so that a "
            "resumed training differs; take ddp or fsdp, or precision fp32 or bf16",
        )
    return None


def rows_per_rank(rows_per_step: int, *, ranks: int) -> int:
    """Return the rows that the busiest rank has of a step."""
    return -(-rows_per_step // ranks)


def chooses_rows(asked: Literal["auto"] | int) -> bool:
    """Return whether the rows of a micro-batch are to be found out."""
    return asked == "auto"


def choose_micro_batch_rows(
    asked: Literal["auto"] | int,
    *,
    rows_of_rank: int,
    sequence_tokens: int,
    device: Device,
    fits: Callable[[int], bool],
) -> int:
    """Return the rows of a micro-batch, at least one and no more than the rank has of a step.

    `auto`: as many as `fits(rows)` allows, on a CPU no more than `CPU_TOKENS`, and no more than
    make micro-batches of even size. What fits must fit with fewer rows, too.

    >>> facts = dict(rows_of_rank=16, sequence_tokens=512, device="gpu")
    >>> choose_micro_batch_rows("auto", fits=lambda rows: rows <= 5, **facts)
    4
    >>> choose_micro_batch_rows("auto", fits=lambda rows: False, **facts)
    1
    >>> choose_micro_batch_rows(5, fits=lambda rows: False, **facts)
    5
    """
    if asked != "auto":  # as `chooses_rows` says, so that types are narrowed
        return min(asked, rows_of_rank)
    low, high = 1, rows_of_rank
    if device == "cpu":
        high = max(1, min(high, CPU_TOKENS // sequence_tokens))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return -(-rows_of_rank // -(-rows_of_rank // low))


def handed_on(lora: Lora) -> Lora:
    """Return the settings of the adapter that a phase hands on: plain, also after PiSSA.

    What PiSSA learnt is exactly a plain LoRA of twice the rank (finetune/train/adapter.py).

    >>> handed_on(Lora(rank=4, alpha=8, init="pissa")).rank
    8
    """
    if lora.init != "pissa":
        return lora.model_copy(update={"init": "default"})
    rank, alpha = pissa_as_plain(rank=lora.rank, alpha=lora.alpha, rslora=lora.rslora)
    return lora.model_copy(update={"init": "default", "rank": rank, "alpha": alpha})


def pissa_as_plain(*, rank: int, alpha: float, rslora: bool) -> tuple[int, float]:
    """Return rank and alpha of the plain LoRA that equals a PiSSA update: the same scale.

    >>> pissa_as_plain(rank=4, alpha=8.0, rslora=False)
    (8, 16.0)
    """
    return 2 * rank, (math.sqrt(2) if rslora else 2) * alpha


def attends_by_document(model_type: str, *, device: Device) -> bool:
    """Return whether attention runs document by document, without a mask over the packed row."""
    return device == "cpu" and model_type in DOCUMENT_ATTENTION


def fuses_layers(
    model_type: str,
    *,
    lora: Lora,
    device: Device,
    precision: Precision,
    quantization: Quantization,
    sharding: Sharding,
) -> bool:
    """True if the layers of finetune/models/fused.py run: plain LoRA in float32, weights whole.

    `fsdp` gathers a layer's weights before its forward; `zero3` only within the written modules.
    """
    plain = not lora.dropout and not lora.dora and quantization == "none"
    whole = plain and precision == "fp32" and sharding != "zero3"
    return whole and attends_by_document(model_type, device=device)


def head_chunk_tokens(vocabulary: int, *, device: Device = "cpu") -> int:
    """Return how many tokens have the device's bytes of float32 logits, at least one.

    >>> head_chunk_tokens(49152)
    341
    >>> head_chunk_tokens(128256, device="gpu"), head_chunk_tokens(400_000, device="gpu")
    (1024, 671)
    """
    if device == "cpu":
        return max(1, HEAD_CHUNK_BYTES // (FLOAT * vocabulary))
    fewest, most = GPU_HEAD_CHUNK_TOKENS
    return min(most, max(fewest, GPU_HEAD_CHUNK_BYTES // (FLOAT * vocabulary)))
