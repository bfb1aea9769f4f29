"""Choice of the micro-batch: packed sequences per forward pass of a rank.

The loss does not depend on it, so it is chosen by memory and speed alone (the rule:
finetune/sizing/policy.py): recorded, asked for, or `auto`. A rank that holds the whole model runs
its fullest rows: on a CPU one, whose bytes for the backward pass are counted (the same number every
time), on a GPU as many as are chosen (finetune/train/measured_rows.py). Under `zero3` and `fsdp` no
rank could run them alone, and memory is computed from the model's configuration, as `finetune
estimate` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from finetune.artefacts.job import Job
from finetune.artefacts.prepared_items import PreparedItems
from finetune.errors import RecipeError, TrainError
from finetune.launch.machine_memory import machine_bytes
from finetune.launch.ranks import ranks_of
from finetune.messages import Place, phrase, problem, sentence
from finetune.models.attention.packed import chip_of
from finetune.models.load import kind_of_device
from finetune.output.small_files import UnreadableError
from finetune.sizing.footprint import MeasuredRow, measured_bytes
from finetune.sizing.memory import (
    Placement,
    budgeted_bytes,
    device_memory,
    state_bytes,
    trained_bytes,
    work_on,
)
from finetune.sizing.policy import (
    CPU_PROCESS_BYTES,
    FLOAT,
    budget_bytes,
    choose_micro_batch_rows,
    chooses_rows,
    gpu_budget_bytes,
    rows_per_rank,
)
from finetune.sizing.shape import model_shape
from finetune.sources.model_folder import read_config, reason_of
from finetune.spec.recipe import Run
from finetune.spec.sections.training import Sharding as Sharded
from finetune.train.measured_rows import (
    CudaMemory,
    DeviceMemory,
    is_out_of_memory,
    largest_micro_batch,
)
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


def choose_layout(
    job: Job,
    *,
    model: TrainedModel,
    split: PreparedItems,
    rows_per_step: int,
    sharing: Sharing,
    processes: Processes,
    recorded: Layout | None,
    memory: DeviceMemory | None = None,
) -> Layout:
    """Return the recorded layout or the chosen one; gradient checkpointing is on afterwards.

    A micro-batch is a part of the rows that one rank has of a step, the same on every rank.
    `memory`: None: that of the rank's GPU.
    """
    wanted = job.recipe.run
    if memory is None and processes.device.type == "cuda":
        memory = CudaMemory(processes.device)
    share = rows_per_rank(rows_per_step, ranks=processes.count)
    plan = _Plan(job, model, split, sharing, processes, share)
    if wanted.gradient_checkpointing and memory is not None:  # peaks are read as training will run
        _recompute(model)
    if recorded is not None and recorded.fits(wanted):
        rows, peak = min(recorded.micro_batch_rows, share), recorded.peak_bytes
    else:
        rows, peak = plan.agreed(memory)
    if wanted.gradient_checkpointing:
        _recompute(model)
    measured = {} if peak is None else {"peak_bytes": peak}
    job.console.say(
        layout_in_words(sharing, ranks=processes.count, micro_batch=rows, per_rank=share),
        ranks=processes.count,
        sharding=sharing.sharding,
        micro_batch_rows=rows,
        precision=sharing.precision,
        **measured,
    )
    return Layout(
        precision=sharing.precision,
        micro_batch_rows=rows,
        memory_gib=wanted.memory_gib,
        gradient_checkpointing=wanted.gradient_checkpointing,
        sharding=sharing.sharding,
        ranks=processes.count,
        peak_bytes=peak,
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """Facts on which the rows of a micro-batch depend."""

    job: Job
    model: TrainedModel
    split: PreparedItems
    sharing: Sharing
    processes: Processes
    share: int
    """Packed sequences per rank and step."""

    @property
    def device(self) -> torch.device:
        """This rank's."""
        return self.processes.device

    def agreed(self, memory: DeviceMemory | None) -> tuple[int, int | None]:
        """Return the rows that all ranks can run, and the peak if this rank measured it.

        Raises TrainError on every rank if one row is too much for one of them.
        """
        try:
            rows, peak = self._chosen(memory)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            rows, peak = 0, None
        agreed = self.processes.least(rows)
        if agreed == 0:
            run = self.job.recipe.run
            raise out_of_memory(1, sequence_tokens=self.split.sequence_tokens, run=run)
        return agreed, peak

    def _chosen(self, memory: DeviceMemory | None) -> tuple[int, int | None]:
        run, job = self.job.recipe.run, self.job
        if (
            memory is not None
            and not self.sharing.splits_weights
            and chooses_rows(run.micro_batch_size)
        ):
            return self._tried(memory)
        if self.sharing.splits_weights:
            peak_bytes = _computed(
                job, split=self.split, sharing=self.sharing, processes=self.processes
            )
        else:
            peak_bytes = _measured(job, model=self.model, split=self.split, device=self.device)
        budget = process_budget_bytes(run, self.device, memory=memory)
        return self.choose(lambda rows: peak_bytes(rows) <= budget), None

    def _tried(self, memory: DeviceMemory) -> tuple[int, int | None]:
        """Return rows that were run, none if one row had no room, and their peak."""
        parameters = self.model.parameters.values()
        trained = trained_bytes(
            sum(parameter.numel() for parameter in parameters),
            _placement(self.sharing, self.processes),
            precision=self.sharing.precision,
        )
        later = trained.moments + trained.buffers  # weights and gradients are there when measured
        budget = process_budget_bytes(self.job.recipe.run, self.device, memory=memory)
        trial = largest_micro_batch(
            partial(_run_fullest, model=self.model, split=self.split, device=self.device),
            memory=memory,
            budget_bytes=budget - later,
            choose=self.choose,
        )
        return (0, None) if trial is None else (trial.rows, trial.peak_bytes + later)

    def choose(self, fits: Callable[[int], bool]) -> int:
        """Return the rows that the policy takes of those that fit."""
        return choose_micro_batch_rows(
            self.job.recipe.run.micro_batch_size,
            rows_of_rank=self.share,
            sequence_tokens=self.split.sequence_tokens,
            device=kind_of_device(self.device),
            fits=fits,
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


def process_budget_bytes(
    run: Run, device: torch.device, *, memory: DeviceMemory | None = None
) -> int:
    """Return the bytes that one process may use: `run.memory_gib`, or a share of its device's.

    On a GPU (whose `memory` may be given) these are bytes of tensors. A control group's limit (a
    container, a Slurm job) counts as the machine's memory; processes on one machine without GPUs
    share it.
    """
    if device.type == "cuda":
        memory = memory or CudaMemory(device)
    if memory is not None:
        return gpu_budget_bytes(
            run.memory_gib, free_bytes=memory.available_bytes, total_bytes=memory.total_bytes
        )
    processes = ranks_of().local_world
    return budget_bytes(run.memory_gib, device_bytes=machine_bytes(), processes=processes)


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
    placement = _placement(sharing, processes)

    def peak_bytes(rows: int) -> int:
        work = work_on(
            shape,
            placement,
            lora=job.recipe.lora,
            rows=rows,
            sequence_tokens=split.sequence_tokens,
            precision=sharing.precision,
            quantization=job.recipe.base.quantization,
            gradient_checkpointing=run.gradient_checkpointing,
        )
        return budgeted_bytes(device_memory(shape, work, placement), device=placement.device)

    return peak_bytes


def _placement(sharing: Sharing, processes: Processes) -> Placement:
    """Return the place of this rank among all of them."""
    return Placement(
        sharding=sharing.sharding,
        ranks=processes.count,
        offload=sharing.offload,
        device=kind_of_device(processes.device),
        capability=chip_of(processes.device).capability,
    )


def _measured(
    job: Job, *, model: TrainedModel, split: PreparedItems, device: torch.device
) -> Callable[[int], int]:
    """Return the peak of a process on a CPU as a function of rows.

    One row is run when it is first asked.
    """
    again = job.recipe.run.gradient_checkpointing
    held = fixed_bytes(model.peft)

    @cache
    def kept() -> int:
        return saved_bytes(
            partial(_forward, 1, model=model, split=split, device=device), frozen=model.peft
        )

    def peak_bytes(rows: int) -> int:
        sizes = model.kind.sizes(model.peft)
        row = MeasuredRow(
            kept=kept(),
            layers=sizes.layers,
            input_bytes=split.sequence_tokens * sizes.hidden * FLOAT,
            tokens=split.sequence_tokens,
            vocabulary=sizes.vocabulary,
        )
        return held + measured_bytes(row, rows=rows, gradient_checkpointing=again)

    return peak_bytes


def _forward(
    rows: int, *, model: TrainedModel, split: PreparedItems, device: torch.device
) -> Tensor:
    """Return the loss of the fullest rows, repeated where the split has fewer."""
    fullest = np.lexsort((split.supervised_tokens_of(), split.tokens_of()))[::-1]
    batch = model.kind.make_batch(split, np.resize(fullest, rows).tolist(), device=device)
    model.trainable.train()
    run: Any = model.trainable  # as a module, with its hooks
    loss: Tensor = run(batch, dropout_key=0)
    return loss


def _run_fullest(
    rows: int, *, model: TrainedModel, split: PreparedItems, device: torch.device
) -> None:
    """Run rows forward and backward, and leave nothing of it."""
    try:
        _forward(rows, model=model, split=split, device=device).backward()
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


def fixed_bytes(model: nn.Module) -> int:
    """Return what a process on a CPU holds whatever the rows, in bytes.

    Weights; gradient, moments and best of what is trained; the process itself.
    """
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    trainable = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    best = trainable
    return weights + sum(state_bytes(trainable)) + best + CPU_PROCESS_BYTES


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
