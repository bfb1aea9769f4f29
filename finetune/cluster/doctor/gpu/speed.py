"""Benchmark of training on one GPU: speed, share of peak, and memory beside its estimate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from finetune.cluster.doctor.gpu.bench import (
    DRY_TOKENS,
    Bench,
    engine_of,
    packed_rows,
    random_base,
)
from finetune.cluster.doctor.gpu.trial_rows import Check, Found, Measured, passed
from finetune.models.kinds import CAUSAL
from finetune.sizing.flops import flops_per_token
from finetune.sizing.gpus import find_gpu, memory_gib_of
from finetune.sizing.memory import Placement, device_memory, work_on
from finetune.sizing.policy import GIB, GPU_CONTEXT_BYTES, GPU_RESERVE_BYTES
from finetune.sizing.shape import model_shape
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Lora

PASS_SHARE, AIM_SHARE = 0.33, 0.41
"""Of the bf16 peak of an H100 or H200, for LoRA of an 8B base: at least, and as NeMo publishes."""
RATED = ("H100", "H200")
SMALL_CARD = "RTX 4090"
"""The card with 24 GB that 8B in 4 bits is to fit."""
PACKED_LOSS = 0.1
"""Packed short documents may be slower than full rows by this share."""
MEASURED_SECONDS, MOST_STEPS = 8.0, 10
WRONG_ESTIMATE = 0.1
PROCESS_GIB = (GPU_CONTEXT_BYTES + GPU_RESERVE_BYTES) / GIB
"""Beside what torch holds: CUDA's context, and a reserve."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the benchmark."""

    name: str
    size: str
    rows: int
    tokens: int
    document: int
    quantization: Quantization = "none"
    gradient_checkpointing: bool = False

    def dry(self) -> Setting:
        """Return the same with rows of a few tokens."""
        document = DRY_TOKENS if self.document == self.tokens else DRY_TOKENS // 4
        return replace(self, rows=min(self.rows, 2), tokens=DRY_TOKENS, document=document)


FULL = Setting("8B, 1 x 4,096", "8B", 1, 4096, 4096)
PACKED = Setting("8B, 1 x 4,096, documents of 256", "8B", 1, 4096, 256)
FOUR_BIT = Setting("8B in 4 bits, 1 x 4,096", "8B", 1, 4096, 4096, "4bit", True)
SETTINGS: tuple[Setting, ...] = (
    Setting("135M, 1 x 512, documents of 128", "135M", 1, 512, 128),
    Setting("135M, 64 x 512, documents of 128", "135M", 64, 512, 128),
    FULL,
    PACKED,
    Setting("8B, 4 x 2,048, checkpointing", "8B", 4, 2048, 256, "none", True),
    Setting("8B, 1 x 16,384, checkpointing", "8B", 1, 16384, 16384, "none", True),
    FOUR_BIT,
)


def checks_of(measured: dict[str, Measured]) -> list[Check]:
    """Return a check per setting, which puts what it measures into `measured`."""
    return [
        Check(f"speed: {setting.name}", _expected(setting), _trial(setting, measured))
        for setting in SETTINGS
    ]


def _expected(setting: Setting) -> str:
    if setting is FULL:
        return (
            f"H100, H200: {PASS_SHARE:.0%} of the bf16 peak, aim {AIM_SHARE:.0%}; estimate within "
            f"{WRONG_ESTIMATE:.0%}"
        )
    if setting is PACKED:
        return f"at most {PACKED_LOSS:.0%} slower than full rows"
    if setting is FOUR_BIT:
        return f"fits the {memory_gib_of(SMALL_CARD)} GiB of a card with 24 GB"
    return f"estimate within {WRONG_ESTIMATE:.0%}"


def _trial(setting: Setting, measured: dict[str, Measured]) -> Callable[[Bench], Found]:
    def trial(bench: Bench) -> Found:
        own = setting.dry() if bench.dry else setting
        needed, card = estimate_gib(own, bench), card_gib(bench)
        if card is not None and needed + PROCESS_GIB > card:
            return Found("skipped", f"needs {needed:.1f} GiB, the card has {card:.1f}")
        found = measured[setting.name] = measure(own, bench)
        return judged(setting, found, measured=measured, dry=bench.dry, card=card_name(bench))

    return trial


def judged(
    setting: Setting, found: Measured, *, measured: Mapping[str, Measured], dry: bool, card: str
) -> Found:
    """Return whether a setting passes; numbers of a dry trial have no meaning and pass."""
    text = in_words(found)
    if dry:
        return Found("ok", text)
    wrong = abs(found.peak_gib - found.estimate_gib) > WRONG_ESTIMATE * found.peak_gib
    if setting is FULL and find_gpu(card) is not None and any(name in card for name in RATED):
        return passed((found.share or 0) >= PASS_SHARE and not wrong, text)
    if setting is PACKED and FULL.name in measured:
        full = measured[FULL.name].tokens_per_second
        share = found.tokens_per_second / full
        return passed(share >= 1 - PACKED_LOSS, f"{text}; {share:.2f} of full rows")
    if setting is FOUR_BIT:
        room = memory_gib_of(SMALL_CARD) or 0.0
        return passed(found.peak_gib + PROCESS_GIB <= room, text)
    return passed(not wrong, text)


def in_words(found: Measured) -> str:
    """Return what was measured in one line."""
    share = "" if found.share is None else f" ({found.share:.0%} of peak)"
    return (
        f"{found.tokens_per_second:,.0f} tokens/s, {found.tflops:.1f} TFLOP/s{share}, "
        f"{found.peak_gib:.1f} GiB (estimate {found.estimate_gib:.1f})"
    )


def measure(setting: Setting, bench: Bench) -> Measured:
    """Train some steps of a setting; the first is not counted."""
    keys, lora = bench.shape(setting.size), Lora()
    base = random_base(bench, keys, quantization=setting.quantization)
    engine = engine_of(base, lora=lora, gradient_checkpointing=setting.gradient_checkpointing)
    split = packed_rows(
        rows=setting.rows,
        tokens=setting.tokens,
        document=setting.document,
        vocabulary=keys["vocab_size"],
    )
    batch = CAUSAL.make_batch(split, range(setting.rows), device=bench.device)

    def step(number: int) -> None:
        loss = engine.forward(batch, dropout_key=number, last=True)
        engine.backward(loss / (setting.rows * setting.tokens), last=True)
        engine.step(learning_rate=1e-4, max_grad_norm=1.0, loss_scale=1.0)

    step(0)
    seconds, peak = _seconds_a_step(step, bench)
    tokens = setting.rows * setting.tokens
    shape = model_shape(_config(keys))
    # what gradient checkpointing computes again is not useful
    flops = tokens * flops_per_token(shape, lora, document_tokens=setting.document)
    card = find_gpu(card_name(bench))
    per_second = flops / seconds / 1e12
    return Measured(
        tokens_per_second=tokens / seconds,
        tflops=per_second,
        share=None if card is None else per_second / card.peak_tflops(bench.precision),
        peak_gib=peak / GIB,
        estimate_gib=estimate_gib(setting, bench),
    )


def _seconds_a_step(step: Callable[[int], None], bench: Bench) -> tuple[float, int]:
    """Return the seconds of a step, and the most bytes that torch held in one."""
    bench.wait()
    on_gpu = bench.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(bench.device)
    begun, steps = time.perf_counter(), 0
    most = 1 if bench.dry else MOST_STEPS
    while steps < most and time.perf_counter() - begun < MEASURED_SECONDS:
        steps += 1
        step(steps)
        bench.wait()
    peak = torch.cuda.max_memory_allocated(bench.device) if on_gpu else 0
    return (time.perf_counter() - begun) / steps, peak


def estimate_gib(setting: Setting, bench: Bench) -> float:
    """Return what `finetune estimate` computes for a setting, without the process itself."""
    shape = model_shape(_config(bench.shape(setting.size)))
    place = Placement(device="gpu")
    work = work_on(
        shape,
        place,
        lora=Lora(),
        rows=setting.rows,
        sequence_tokens=setting.tokens,
        precision=bench.precision,
        quantization=setting.quantization,
        gradient_checkpointing=setting.gradient_checkpointing,
    )
    memory = device_memory(shape, work, place)
    return (memory.total - memory.runtime) / GIB


def card_name(bench: Bench) -> str:
    """Return the name of the card, `CPU` without one."""
    if bench.device.type == "cpu":
        return "CPU"
    return torch.cuda.get_device_name(bench.device)


def card_gib(bench: Bench) -> float | None:
    """Return the card's memory in GiB, None on a CPU."""
    if bench.device.type == "cpu":
        return None
    return float(torch.cuda.get_device_properties(bench.device).total_memory / GIB)


def _config(keys: Mapping[str, Any]) -> dict[str, Any]:
    from transformers import LlamaConfig

    config: dict[str, Any] = LlamaConfig(**keys).to_dict()
    return config
