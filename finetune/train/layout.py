"""How the rows of a step are cut into micro-batches: recorded, asked for, or measured."""

from __future__ import annotations

import json

import numpy as np
from torch import Tensor

from finetune.artefacts.job import Job
from finetune.artefacts.packed_split import PackedSplit
from finetune.models.packed import make_batch
from finetune.sizing.footprint import ELEMENT_BYTES, FLOAT, activation_bytes_per_row
from finetune.sizing.shape import adapter_parameters, base_parameters, model_shape
from finetune.train import micro_batch
from finetune.train.model import TrainedModel
from finetune.train.processes import Processes
from finetune.train.sharding import Sharing
from finetune.train.state import Layout


def choose_layout(
    job: Job,
    *,
    model: TrainedModel,
    split: PackedSplit,
    rows_per_step: int,
    sharing: Sharing,
    processes: Processes,
    recorded: Layout | None,
) -> Layout:
    """Return the recorded layout, or a measured one; gradient checkpointing is on afterwards.

    A micro-batch is a part of the rows that one rank has of a step, the same on every rank.
    """
    wanted = job.recipe.run
    share = -(-rows_per_step // processes.count)
    if wanted.micro_batch_rows != "auto":
        rows = min(wanted.micro_batch_rows, share)
    elif recorded is not None and recorded.fits(wanted):
        rows = min(recorded.micro_batch_rows, share)
    else:
        row_bytes, fixed_bytes = (
            _computed_bytes(job, split=split, sharing=sharing, processes=processes)
            if sharing.splits_weights  # no rank holds a whole model on which to measure
            else _measured_bytes(job, model=model, split=split)
        )
        on_cpu = processes.device.type == "cpu"
        rows = processes.least(
            micro_batch.rows_that_fit(
                row_bytes=row_bytes,
                fixed_bytes=fixed_bytes,
                budget_bytes=micro_batch.budget_bytes(wanted, processes.device),
                rows_per_step=share,
                most_rows=micro_batch.CPU_TOKENS // split.sequence_tokens if on_cpu else 1 << 20,
            )
        )
    if wanted.gradient_checkpointing:
        model.peft.gradient_checkpointing_enable({"use_reentrant": False})
    many = (
        f"{processes.count} processes, {sharing.sharding}" if processes.count > 1 else "1 process"
    )
    job.console.say(
        f"{many}; {rows} of the {share} rows that each has of a step at once; {sharing.precision}",
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


def _computed_bytes(
    job: Job, *, split: PackedSplit, sharing: Sharing, processes: Processes
) -> tuple[int, int]:
    """Return bytes of a row, and of what is held anyway, from the model's configuration."""
    base, run = job.inputs["base"], job.recipe.run
    config = json.loads((base.path / "model/config.json").read_text("utf-8"))
    on_cpu = processes.device.type == "cpu"
    row_bytes = activation_bytes_per_row(
        config,
        lora=job.recipe.lora,
        sequence_tokens=split.sequence_tokens,
        precision=sharing.precision,
        gradient_checkpointing=run.gradient_checkpointing,
        fused=False,
        on_cpu=on_cpu,
    )
    shape = model_shape(config)
    weights = base_parameters(shape) * ELEMENT_BYTES[sharing.precision]
    adapter = sum(adapter_parameters(shape, job.recipe.lora).values()) * FLOAT
    together = weights // shape.layers  # a layer (or the head) is gathered while it computes
    held = (weights + 4 * adapter) // processes.count + 2 * together
    return row_bytes, held + (micro_batch.PROCESS_BYTES if on_cpu else 0)


def _measured_bytes(job: Job, *, model: TrainedModel, split: PackedSplit) -> tuple[int, int]:
    """Return bytes of a row, found by running the fullest one, and of what is held anyway."""
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
    return row_bytes, micro_batch.fixed_bytes(model.peft, device=device)
