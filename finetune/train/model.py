"""The model in training: base, adapter, and their starting values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor, nn

from finetune.artefacts.job import Job
from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.models.kinds import Kind, TrainableModel
from finetune.models.load import tokenizer_folder
from finetune.models.rows import read_rows
from finetune.train.adapter import load_start, lora_to_attach, same_tokenizer
from finetune.train.checkpoint import Checkpoint, of_another_run
from finetune.train.optimizer import trainable_parameters
from finetune.train.sharding import Sharing


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """The model before it is shared out over ranks."""

    kind: Kind
    trainable: TrainableModel
    """Module that engines train: the PEFT model, wrapped by its kind."""
    peft: PeftModel
    parameters: dict[str, nn.Parameter]
    """The trainable ones, by name."""
    pissa_start: dict[str, Tensor] | None


def load_model(job: Job, *, kind: Kind, sharing: Sharing, device: torch.device) -> TrainedModel:
    """Load the base, attach the adapter and set what it starts from.

    With FSDP the weights stay on the CPU until they are split. Raises RecipeError for settings that
    cannot be combined or an adapter to start from that does not fit, TrainError, StoreError.
    """
    recipe, phase = job.recipe, job.phase
    lora = recipe.lora
    if lora.init == "pissa" and (lora.dora or recipe.base.quantization != "none"):
        other = "lora.dora" if lora.dora else f"base.quantization: {recipe.base.quantization}"
        raise RecipeError(
            problem(
                "pissa-combined",
                "pissa cannot be combined with {other}; remove one of them",
                at=Place(key="lora.init"),
                other=other,
            )
        )
    start = _start(job)
    new_rows = None
    if "vocabulary" in job.inputs:
        new_rows = read_rows(job.inputs["vocabulary"].path)
        if start is not None:
            same_tokenizer(start, tokenizer_folder(job))
    attached = lora_to_attach(lora, start=start)
    base = kind.load_base(
        job.inputs["base"].path / "model",
        precision=sharing.precision,
        quantization=recipe.base.quantization,
        device="cpu" if sharing.sharding == "fsdp" else device,
        packs_on=device,
    )
    peft = kind.attach_lora(base, attached, seed=phase.train.seed, new_rows=new_rows)
    if start is not None:
        load_start(peft, start, lora=attached)
    parameters = trainable_parameters(peft)
    pissa_start = None
    if attached.init == "pissa":
        pissa_start = {name: p.detach().cpu().clone() for name, p in parameters.items()}
    trainable = kind.wrap(peft)
    refuse_unequal_forwards(trainable, sharing=sharing, model_type=str(base.config.model_type))
    if trainable.note is not None:
        job.console.say(trainable.note)
    return TrainedModel(
        kind=kind,
        trainable=trainable,
        peft=peft,
        parameters=parameters,
        pissa_start=pissa_start,
    )


def refuse_unequal_forwards(
    trainable: TrainableModel, *, sharing: Sharing, model_type: str
) -> None:
    """Raise RecipeError where ranks that gather weights would run unequal numbers of forwards."""
    if sharing.splits_weights and not trainable.isolates:
        raise RecipeError(
            problem(
                "unequal-forwards",
                "{sharing} gathers the base's weights in every forward pass; documents of "
                "{model_type} cannot be kept apart in one pass, so that ranks would run unequal "
                "numbers of passes and wait for each other forever. Take ddp or zero2",
                at=Place(key="train.sharding"),
                sharing=sharing.sharding,
                model_type=model_type,
            )
        )


def _start(job: Job) -> Path | None:
    if "start" in job.inputs:
        return job.inputs["start"].path
    start_from = job.phase.train.start_from
    return None if start_from is None else Path(start_from).expanduser()


def restore(parameters: dict[str, nn.Parameter], resumed: Checkpoint) -> None:
    """Set the adapter of a checkpoint. StoreError if another training run wrote it."""
    stored = resumed.part("adapter")
    wrong = sorted(
        (set(stored) ^ set(parameters))
        | {n for n, p in parameters.items() if n in stored and stored[n].shape != p.shape}
    )
    if wrong:
        raise of_another_run(wrong)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(stored[name])
