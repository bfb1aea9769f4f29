"""Checks of a launch of several ranks: sums between devices, and training by every sharding.

Ranks run the same checks in the same order, since each is collective; rank 0 judges and shows them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist

from finetune.cluster.doctor.gpu.bench import Bench
from finetune.cluster.doctor.gpu.resumed_run import Way, in_two_parts, inputs_in, random_inputs
from finetune.cluster.doctor.gpu.trial_rows import Check, Found, passed
from finetune.sizing.policy import refuse_sharding
from finetune.train.processes import Processes

WAYS = (
    Way("ddp"),
    Way("zero2"),
    Way("zero3"),
    Way("fsdp"),
    Way("ddp", "4bit"),
    Way("fsdp", "4bit"),
)
"""The first with each quantization is what the others are compared with."""
ELEMENTS, DRY_ELEMENTS, SUMS = 42_000_000, 1_000, 5
"""Gradients of rank 16 on all linear layers of an 8B base: what `ddp` sums in a step."""


@contextmanager
def shared_folder(processes: Processes, *, within: Path) -> Iterator[Path]:
    """Give all ranks one folder with the inputs of a training run; rank 0 makes and removes it."""
    made = None
    if processes.is_main:
        within.mkdir(parents=True, exist_ok=True)
        made = tempfile.mkdtemp(prefix="finetune-doctor-", dir=within)
        random_inputs(Path(made))
    folder = Path(processes.text(made) or "")
    try:
        yield folder
    finally:
        if processes.is_main:
            shutil.rmtree(folder, ignore_errors=True)


def checks_over(processes: Processes) -> list[Check]:
    """Return the checks of a launch."""
    losses: dict[str, float] = {}
    exchange = Check(
        f"sum over {processes.count} ranks",
        "the sum of all ranks",
        partial(_sum, processes=processes),
        packs=False,
    )
    return [exchange, *(_training(way, losses) for way in WAYS)]


def _training(way: Way, losses: dict[str, float]) -> Check:
    is_first = next(one for one in WAYS if one.quantization == way.quantization) == way
    expected = "the loss falls" if is_first else "the loss of ddp"

    def tried(bench: Bench) -> Found:
        refused = refuse_sharding(
            way.sharding,
            precision=bench.precision,
            quantization=way.quantization,
            new_tokens=False,
        )
        if refused is not None:
            return Found("refused", f"refused: {refused.short}")
        found = in_two_parts(bench, inputs_in(bench.folder), way=way)
        near = losses.setdefault(way.quantization, found.loss_last)
        return found.judged(near=near)

    return Check(f"{way.name} in two parts", f"{expected}, both adapters are equal", tried)


def _sum(bench: Bench, *, processes: Processes) -> Found:
    """Sum as many numbers as `ddp` does, on the device, and measure how fast."""
    count = processes.count
    held = torch.full((DRY_ELEMENTS if bench.dry else ELEMENTS,), 1.0, device=bench.device)
    dist.all_reduce(held)  # the first one connects
    is_right = bool((held == count).all())
    bench.wait()
    begun = bench.seconds
    for _ in range(SUMS):
        dist.all_reduce(held)
    bench.wait()
    seconds = (bench.seconds - begun) / SUMS
    each = 2 * (count - 1) / count * held.numel() * held.element_size()  # that a rank sends
    speed = each / max(seconds, 1e-9) / 1e9
    return passed(is_right, f"{'right' if is_right else 'wrong'}, {speed:.2f} GB/s per rank")
