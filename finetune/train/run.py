"""Stage `train`: tokens -> adapter."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from peft import PeftModel
from torch import Tensor, nn

from finetune.errors import RecipeError, Stopped, StoreError, TrainError
from finetune.job import Job
from finetune.models.load import (
    Precision,
    attach_lora,
    choose_device,
    load_base,
    resolve_precision,
    set_threads,
)
from finetune.models.packed import PackedModel, make_batch
from finetune.packed import PackedSplit, open_split
from finetune.train import micro_batch
from finetune.train.adapter import load_start, lora_to_attach, save_adapter
from finetune.train.checkpoint import (
    Checkpoint,
    checkpoint_files,
    full_disk_explained,
    newest_checkpoint,
    write_folder,
)
from finetune.train.loop import Plan, Trainer
from finetune.train.metrics import METRICS, Metrics, draw_loss, read_metrics
from finetune.train.optimizer import (
    first_loss_scale,
    load_optimizer,
    make_optimizer,
    trainable_parameters,
)
from finetune.train.schedule import total_steps
from finetune.train.state import Layout, Progress
from finetune.train.stop import StopFlag, stop_on_signals


def run(job: Job) -> dict[str, Any]:
    """Train the adapter of one phase, or continue where an earlier start was stopped.

    Raises Stopped (the same command continues), TrainError, RecipeError or StoreError.
    """
    _refuse_many_processes()
    job.workspace.mkdir(parents=True, exist_ok=True)
    with (
        stop_on_signals() as stop,
        full_disk_explained(job.workspace, what="the training's files"),
    ):
        set_threads(job.recipe.run.threads)
        device = choose_device()
        with deterministic(device):
            result = _train(job, device=device, stop=stop)
        if stop.reason is not None:
            raise Stopped(
                f"stopped as asked ({stop.reason}) when training had just ended; its state is "
                "saved. The same command continues from there"
            )
        return result


@dataclass(frozen=True, slots=True)
class _Model:
    """The model ready for training."""

    packed: PackedModel
    peft: PeftModel
    parameters: dict[str, nn.Parameter]
    pissa_start: dict[str, Tensor] | None


def _train(job: Job, *, device: torch.device, stop: StopFlag) -> dict[str, Any]:
    settings = job.phase.train
    split, validation = _splits(job)
    rows_per_step = settings.batch_tokens // split.sequence_tokens
    steps = total_steps(settings, num_rows=split.num_rows, rows_per_step=rows_per_step)
    resumed = _resume(job, steps=steps)
    precision: Precision = (
        resumed.layout.precision if resumed else resolve_precision(settings.precision, device)
    )
    model = _load_model(job, precision=precision, device=device)
    optimizer: Any = make_optimizer(model.parameters, train=settings, lora=job.recipe.lora)
    progress = Progress(loss_scale=first_loss_scale(precision))
    best: dict[str, Tensor] = {}
    if resumed is not None:
        progress, best = resumed.progress, resumed.part("best")
        _restore(model.parameters, resumed)
        load_optimizer(optimizer, model.parameters, tensors=resumed.tensors, step=progress.step)
    layout = _layout(
        job,
        model=model,
        split=split,
        rows_per_step=rows_per_step,
        precision=precision,
        recorded=resumed.layout if resumed else None,
    )
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no")
    packed, optimizer = accelerator.prepare(
        model.packed, optimizer, device_placement=[False, False]
    )
    trainer = Trainer(
        Plan(
            train=settings,
            run=job.recipe.run,
            layout=layout,
            split=split,
            validation=validation,
            total_steps=steps,
            rows_per_step=rows_per_step,
            checkpoints=job.workspace / "checkpoints",
        ),
        accelerator=accelerator,
        packed=packed,
        parameters=model.parameters,
        optimizer=optimizer,
        progress=progress,
        best=best,
        stop=stop,
    )
    with Metrics(job.workspace, resumed=progress, tensorboard=job.recipe.run.tensorboard) as board:
        trainer.run(console=job.console, metrics=board)
        final, best = trainer.validate_at_end(board)
    return _finish(job, model=model, trainer=trainer, final=final, best=best)


def _finish(
    job: Job, *, model: _Model, trainer: Trainer, final: Progress, best: dict[str, Tensor]
) -> dict[str, Any]:
    """Write adapter, state and picture, drop the checkpoints, and return the result."""
    chosen: dict[str, Tensor] = best or {n: p.detach() for n, p in model.parameters.items()}
    save_adapter(
        job.workspace / "adapter",
        model.peft,
        tensors=chosen,
        base=job.recipe.base,
        pissa_start=model.pissa_start,
    )
    write_folder(job.workspace / "state", checkpoint_files(trainer.checkpoint()))
    draw_loss(job.workspace / "loss.png", read_metrics(job.workspace / METRICS))
    shutil.rmtree(trainer.plan.checkpoints, ignore_errors=True)
    return {
        "steps": final.step,
        "best_step": final.best_step or final.step,
        "tokens": final.tokens,
        "supervised_tokens": final.supervised_tokens,
        "precision": trainer.plan.layout.precision,
        "micro_batch_rows": trainer.plan.layout.micro_batch_rows,
        "trainable_parameters": sum(p.numel() for p in model.parameters.values()),
        "seconds": final.seconds,
        "tokens_per_second": final.tokens / max(final.seconds, 1e-9),
        "validation_bits_per_byte": final.best_bits_per_byte or {},
        "history": list(final.history),
        "loss_first": final.loss_first,
        "loss_last": final.loss_last,
        "energy": None,
    }


def _refuse_many_processes() -> None:
    world = os.environ.get("WORLD_SIZE", "1")
    if world != "1":
        raise TrainError(
            f"WORLD_SIZE is {world}: training on several processes is not there yet (it comes "
            "with the cluster verb). Start one process: unset WORLD_SIZE"
        )


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Use deterministic algorithms inside the block (on CUDA warn where there is none)."""
    filling: Any = torch.utils.deterministic  # mypy does not know the properties of this module
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        filling.fill_uninitialized_memory,
    )
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    # Filling every fresh tensor with NaN finds bugs; it costs time in every layer.
    filling.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        filling.fill_uninitialized_memory = before[2]


def _splits(job: Job) -> tuple[PackedSplit, PackedSplit]:
    prepared = job.inputs["prepare"]
    names = {key: tuple(prepared.result[key]) for key in ("languages", "cards")}
    split = open_split(prepared.path / "train", **names)
    validation = open_split(prepared.path / "validation", **names)
    if not np.any(split.supervised_NT):
        cards = ", ".join(names["cards"]) or "none"
        raise TrainError(
            f"nothing to train on: the training split has {split.num_rows} rows and no supervised "
            f"token (cards: {cards}). `finetune prepare` reports what was rejected and why"
        )
    return split, validation


def _resume(job: Job, *, steps: int) -> Checkpoint | None:
    """Return the state to continue from: an own checkpoint, else that of a shorter training."""
    resumed, problems = newest_checkpoint(
        job.workspace / "checkpoints", also=job.workspace / "state"
    )
    shorter = job.inputs.get("shorter")
    if resumed is None and shorter is not None:
        resumed, found = newest_checkpoint(
            shorter.path / "checkpoints", also=shorter.path / "state"
        )
        problems += found
        if resumed is not None and resumed.progress.step > steps:
            resumed = None
        if resumed is not None:
            shutil.copyfile(shorter.path / METRICS, job.workspace / METRICS)
            if (shorter.path / "tensorboard").is_dir() and job.recipe.run.tensorboard:
                events = job.workspace / "tensorboard"
                shutil.copytree(shorter.path / "tensorboard", events, dirs_exist_ok=True)
    for problem in problems:
        job.console.say(f"{problem}; the one before it is used")
    if resumed is not None:
        step = resumed.progress.step
        job.console.say(f"continuing after step {step} of {steps}", step=step, total=steps)
    return resumed


def _load_model(job: Job, *, precision: Precision, device: torch.device) -> _Model:
    recipe, phase = job.recipe, job.phase
    lora = recipe.lora
    if lora.init == "pissa" and (lora.dora or recipe.base.quantization != "none"):
        other = "lora.dora" if lora.dora else f"base.quantization: {recipe.base.quantization}"
        raise RecipeError(f"lora.init: pissa cannot be combined with {other}: leave one out")
    start = _start(job)
    attached = lora_to_attach(lora, start=start)
    base = load_base(
        job.inputs["base"].path / "model",
        precision=precision,
        quantization=recipe.base.quantization,
        device=device,
    )
    peft = attach_lora(base, attached, seed=phase.train.seed)
    if start is not None:
        load_start(peft, start, lora=attached)
    parameters = trainable_parameters(peft)
    pissa_start = None
    if attached.init == "pissa":
        pissa_start = {name: p.detach().cpu().clone() for name, p in parameters.items()}
    return _Model(
        packed=PackedModel(peft), peft=peft, parameters=parameters, pissa_start=pissa_start
    )


def _start(job: Job) -> Path | None:
    if "start" in job.inputs:
        return job.inputs["start"].path
    start_from = job.phase.train.start_from
    return None if start_from is None else Path(start_from).expanduser()


def _restore(parameters: dict[str, nn.Parameter], resumed: Checkpoint) -> None:
    stored = resumed.part("adapter")
    wrong = sorted(
        (set(stored) ^ set(parameters))
        | {n for n, p in parameters.items() if n in stored and stored[n].shape != p.shape}
    )
    if wrong:
        raise StoreError(
            f"the checkpoint is of another training: {wrong[0]} and {len(wrong) - 1} other "
            "parameters differ. Remove the unfinished artefact (`finetune runs`) and start again"
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(stored[name])


def _layout(
    job: Job,
    *,
    model: _Model,
    split: PackedSplit,
    rows_per_step: int,
    precision: Precision,
    recorded: Layout | None,
) -> Layout:
    """Return the recorded layout, or a measured one; gradient checkpointing is on afterwards."""
    wanted = job.recipe.run
    if wanted.micro_batch_rows != "auto":
        rows = min(wanted.micro_batch_rows, rows_per_step)
    elif recorded is not None and recorded.fits(wanted):
        rows = recorded.micro_batch_rows
    else:
        rows = _measured_rows(job, model=model, split=split, rows_per_step=rows_per_step)
    if wanted.gradient_checkpointing:
        model.peft.gradient_checkpointing_enable({"use_reentrant": False})
    job.console.detail(f"micro-batch: {rows} of the {rows_per_step} rows of a step, {precision}")
    return Layout(
        precision=precision,
        micro_batch_rows=rows,
        memory_gib=wanted.memory_gib,
        gradient_checkpointing=wanted.gradient_checkpointing,
    )


def _measured_rows(job: Job, *, model: _Model, split: PackedSplit, rows_per_step: int) -> int:
    device = next(iter(model.parameters.values())).device
    fullest = int(np.argmax(split.supervised_NT.sum(axis=1, dtype=np.int64)))
    batch = make_batch(split, [fullest], device=device)
    layers, hidden = micro_batch.layer_shape(model.peft.config)
    checkpointing = job.recipe.run.gradient_checkpointing
    model.packed.train()

    def forward() -> Tensor:
        loss: Tensor = model.packed(batch, dropout_key=0)
        return loss

    try:
        if device.type == "cuda":
            row_bytes = micro_batch.row_peak_bytes(forward, device=device)
        else:
            kept = micro_batch.saved_bytes(forward, frozen=model.peft)
            row_bytes = int(kept * micro_batch.BACKWARD_FACTOR)
    except RuntimeError as error:
        if not micro_batch.is_out_of_memory(error):
            raise
        raise micro_batch.out_of_memory(
            1, sequence_tokens=split.sequence_tokens, run=job.recipe.run
        ) from error
    finally:
        for parameter in model.parameters.values():
            parameter.grad = None
    if checkpointing:
        row_bytes = micro_batch.with_gradient_checkpointing(
            row_bytes, layers=layers, layer_input_bytes=split.sequence_tokens * hidden * 4
        )
    most = micro_batch.CPU_TOKENS // split.sequence_tokens if device.type == "cpu" else 1 << 20
    return micro_batch.rows_that_fit(
        row_bytes=row_bytes,
        fixed_bytes=micro_batch.fixed_bytes(model.peft, device=device),
        budget_bytes=micro_batch.budget_bytes(job.recipe.run, device),
        rows_per_step=rows_per_step,
        most_rows=most,
    )
