"""Choice of the micro-batch: packed sequences per forward pass of a rank.

The loss does not depend on it, so it is chosen by memory and speed alone (the rule:
finetune/sizing/policy.py): recorded, asked for, or `auto`. A rank that holds the whole model runs
its fullest row: on a CPU the bytes that autograd keeps for the backward pass are counted (the same
number every time), on a GPU the allocator's peak is read. Under `zero3` and `fsdp` no rank could
run it alone, and memory is computed from the model's configuration, as `finetune estimate` does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor, nn

from finetune.artefacts.job import Job
from finetune.artefacts.prepared_items import PreparedItems
from finetune.errors import RecipeError, TrainError
from finetune.launch.ranks import ranks_of
from finetune.messages import Place, phrase, problem, sentence
from finetune.models.load import kind_of_device
from finetune.output.small_files import UnreadableError
from finetune.sizing.footprint import MeasuredRow, measured_bytes
from finetune.sizing.memory import Placement, device_memory, state_bytes, work_on
from finetune.sizing.policy import (
    CPU_PROCESS_BYTES,
    FLOAT,
    budget_bytes,
    choose_micro_batch_rows,
    rows_per_rank,
)
from finetune.sizing.shape import model_shape
from finetune.sources.model_folder import read_config, reason_of
from finetune.spec.recipe import Run
from finetune.spec.sections.training import Sharding as Sharded
from finetune.train.model import TrainedModel
from finetune.train.processes import Processes
from finetune.train.sharding import Sharing
from finetune.train.state import Layout

SHARDING_NAMES: dict[Sharded, str] = {
    "none": "no sharding",
    "ddp": "DDP",
    "zero1": "ZeRO-1",
    "zero2": "ZeRO-2",
    "zero3": "ZeRO-3",
    "fsdp": "FSDP",
}
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def choose_layout(
    job: Job,
    *,
    model: TrainedModel,
    split: PreparedItems,
    rows_per_step: int,
    sharing: Sharing,
    processes: Processes,
    recorded: Layout | None,
) -> Layout:
    """Return the recorded layout or the chosen one; gradient checkpointing is on afterwards.

    A micro-batch is a part of the rows that one rank has of a step, the same on every rank.
    """
    wanted = job.recipe.run
    share = rows_per_rank(rows_per_step, ranks=processes.count)
    if recorded is not None and recorded.fits(wanted):
        rows = min(recorded.micro_batch_rows, share)
    else:
        peak_bytes = (
            _computed(job, split=split, sharing=sharing, processes=processes)
            if sharing.splits_weights
            else _measured(job, model=model, split=split, device=processes.device)
        )
        budget = process_budget_bytes(wanted, processes.device)
        rows = processes.least(
            choose_micro_batch_rows(
                wanted.micro_batch_size,
                rows_of_rank=share,
                sequence_tokens=split.sequence_tokens,
                device=kind_of_device(processes.device),
                fits=lambda rows: peak_bytes(rows) <= budget,
            )
        )
    if wanted.gradient_checkpointing:
        _recompute(model)
    job.console.say(
        layout_in_words(sharing, ranks=processes.count, micro_batch=rows, per_rank=share),
        ranks=processes.count,
        sharding=sharing.sharding,
        micro_batch_rows=rows,
        precision=sharing.precision,
    )
    return Layout(
        precision=sharing.precision,
        micro_batch_rows=rows,
        memory_gib=wanted.memory_gib,
        gradient_checkpointing=wanted.gradient_checkpointing,
        sharding=sharing.sharding,
        ranks=processes.count,
    )


def layout_in_words(sharing: Sharing, *, ranks: int, micro_batch: int, per_rank: int) -> str:
    """Return ranks, sharding, precision and micro-batch in one line.

    `per_rank`: packed sequences per rank and step.
    """
    steps = -(-per_rank // micro_batch)
    sharded = "" if ranks == 1 else f", {SHARDING_NAMES[sharing.sharding]}"
    return (
        f"{ranks} {'rank' if ranks == 1 else 'ranks'}{sharded}, {sharing.precision}; micro-batch "
        f"{micro_batch} {'sequence' if micro_batch == 1 else 'sequences'} x {steps} "
        f"gradient-accumulation {'step' if steps == 1 else 'steps'} per rank"
    )


def process_budget_bytes(run: Run, device: torch.device) -> int:
    """Return the bytes that one process may use: `run.memory_gib`, or a share of its device's.

    A control group's limit (a container, a Slurm job) counts as the machine's memory; processes on
    one machine without GPUs share it.
    """
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        return budget_bytes(run.memory_gib, device_bytes=total)
    total = psutil.virtual_memory().total
    for limit in map(Path, _CGROUP_LIMITS):
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            total = min(total, int(text))
    return budget_bytes(run.memory_gib, device_bytes=total, processes=ranks_of().local_world)


def _computed(
    job: Job, *, split: PreparedItems, sharing: Sharing, processes: Processes
) -> Callable[[int], int]:
    """Return the peak of a process as a function of rows, from the model's configuration."""
    path, run = job.inputs["base"].path / "model/config.json", job.recipe.run
    try:
        shape = model_shape(read_config(path), source=str(path))
    except (OSError, UnreadableError) as error:
        raise RecipeError(
            problem("unreadable-config", "{why}", at=Place(path), why=reason_of(error))
        ) from error
    placement = Placement(
        sharding=sharing.sharding,
        ranks=processes.count,
        offload=sharing.offload,
        device=kind_of_device(processes.device),
    )

    def peak_bytes(rows: int) -> int:
        work = work_on(
            shape,
            placement,
            lora=job.recipe.lora,
            rows=rows,
            sequence_tokens=split.sequence_tokens,
            precision=sharing.precision,
            gradient_checkpointing=run.gradient_checkpointing,
        )
        return device_memory(shape, work, placement).total

    return peak_bytes


def _measured(
    job: Job, *, model: TrainedModel, split: PreparedItems, device: torch.device
) -> Callable[[int], int]:
    """Return the peak of a process as a function of rows; a row is run when it is first asked."""
    again = job.recipe.run.gradient_checkpointing
    held = fixed_bytes(model.peft, device=device)

    @cache
    def run_once() -> int:
        if again and device.type == "cuda":  # its peak is read as training will run it
            _recompute(model)
        return _run_fullest_row(job, model=model, split=split, device=device)

    def peak_bytes(rows: int) -> int:
        if device.type == "cuda":
            return held + rows * run_once()
        sizes = model.kind.sizes(model.peft)
        row = MeasuredRow(
            kept=run_once(),
            layers=sizes.layers,
            input_bytes=split.sequence_tokens * sizes.hidden * FLOAT,
            tokens=split.sequence_tokens,
            vocabulary=sizes.vocabulary,
        )
        return held + measured_bytes(row, rows=rows, gradient_checkpointing=again)

    return peak_bytes


def _run_fullest_row(
    job: Job, *, model: TrainedModel, split: PreparedItems, device: torch.device
) -> int:
    """Return the peak of the fullest row above what was held on a GPU, what it keeps on a CPU."""
    fullest = int(np.argmax(split.supervised_tokens_of()))
    batch = model.kind.make_batch(split, [fullest], device=device)
    model.trainable.train()
    run: Any = model.trainable  # as a module, with its hooks

    def forward() -> Tensor:
        loss: Tensor = run(batch, dropout_key=0)
        return loss

    try:
        if device.type == "cuda":
            return gpu_peak_bytes(forward, device=device)
        return saved_bytes(forward, frozen=model.peft)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(1, sequence_tokens=split.sequence_tokens, run=job.recipe.run) from error
    finally:
        for parameter in model.parameters.values():
            parameter.grad = None


def _recompute(model: TrainedModel) -> None:
    """Turn gradient checkpointing on; twice is harmless."""
    model.peft.gradient_checkpointing_enable({"use_reentrant": False})


def saved_bytes(forward: Callable[[], Tensor], *, frozen: nn.Module) -> int:
    """Return the bytes that one forward pass keeps for its backward pass.

    Every storage counts once; parameters and buffers of `frozen` are there anyway and count not.
    """
    known = {t.untyped_storage().data_ptr() for t in (*frozen.parameters(), *frozen.buffers())}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # a storage freed meanwhile could hand its address to another

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = forward()
    del loss
    return sum(kept.values())


def gpu_peak_bytes(forward: Callable[[], Tensor], *, device: torch.device) -> int:
    """Return the peak of one forward and backward pass on a GPU above what was allocated."""
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    forward().backward()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device) - before)


def fixed_bytes(model: nn.Module, *, device: torch.device) -> int:
    """Return what is held whatever the rows, in bytes.

    Weights; gradient, moments and best of what is trained; on a CPU the process itself, too.
    """
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    trainable = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    best = trainable
    process = CPU_PROCESS_BYTES if device.type == "cpu" else 0
    return weights + sum(state_bytes(trainable)) + best + process


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error of torch means that memory ran out (GPU, or the CPU's allocator)."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def out_of_memory(rows: int, *, sequence_tokens: int, run: Run) -> TrainError:
    """Return the error that names a setting that fits."""
    if rows > 1:
        remedy = sentence(
            "run.micro_batch_size: {rows:d} (the loss does not depend on it)", rows=rows // 2
        )
    elif not run.gradient_checkpointing:
        remedy = phrase("run.gradient_checkpointing: true")
    else:
        remedy = sentence("a smaller prepare.sequence_tokens, or base.quantization: 4bit,")
    return TrainError(
        problem(
            "out-of-memory",
            "out of memory with a micro-batch of {micro_batch} x {tokens} tokens: set {remedy} and "
            "rerun the same command to resume",
            micro_batch=rows,
            tokens=sequence_tokens,
            remedy=remedy,
        )
    )
