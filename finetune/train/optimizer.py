"""AdamW over the adapter with LoRA+ parameter groups, the loss scale of fp16, non-finite steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from finetune.artefacts.prepared_items import PreparedItems, describe_rows
from finetune.errors import TrainError
from finetune.messages import problem
from finetune.models.rows import is_row
from finetune.spec.sections.training import Lora, Train
from finetune.train.checkpoint import of_another_run
from finetune.train.state import Progress

MOMENTS = ("exp_avg", "exp_avg_sq")
GROWTH_STEPS = 2000


def trainable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the trainable parameters by name. Raises TrainError when there are none."""
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not parameters:
        raise TrainError(
            problem(
                "no-trainable-parameters", "nothing to train: the model has no trainable parameters"
            )
        )
    return parameters


def make_optimizer(
    parameters: Mapping[str, nn.Parameter],
    *,
    train: Train,
    lora: Lora,
    rows_learning_rate: float | None = None,
) -> torch.optim.AdamW:
    """Return AdamW with a group for A and one for B (LoRA+, Hayou et al. 2024), and new rows.

    Each group carries `rate_ratio`, its share of the scheduled learning rate; `rows_learning_rate`
    is the peak rate of new embedding rows. Weight decay applies to the LoRA A and B matrices only:
    shrinking a DoRA magnitude or a token's embedding row would undo its purpose.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        ratio = lora.loraplus_lr_ratio if "lora_B" in name or "lora_embedding_B" in name else 1.0
        decay = train.weight_decay if parameter.ndim > 1 else 0.0
        if is_row(name):
            ratio, decay = (rows_learning_rate or train.learning_rate) / train.learning_rate, 0.0
        groups.setdefault((ratio, decay), []).append(parameter)
    types = {p.device.type for p in parameters.values()}
    return torch.optim.AdamW(
        [
            {"params": members, "weight_decay": decay, "rate_ratio": ratio}
            for (ratio, decay), members in groups.items()
        ],
        lr=train.learning_rate,
        fused=types <= {"cpu", "cuda"},
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate of every group, times the group's own ratio."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["rate_ratio"]


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """Return the moments as `exp_avg.NAME` and `exp_avg_sq.NAME`; empty before the first step."""
    return {
        f"{moment}.{name}": optimizer.state[parameter][moment]
        for name, parameter in parameters.items()
        if parameter in optimizer.state
        for moment in MOMENTS
    }


def load_optimizer(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    *,
    tensors: Mapping[str, Tensor],
    step: int,
) -> None:
    """Set moments that `optimizer_tensors` returned after `step` steps."""
    if step == 0:
        return
    names = {parameter: name for name, parameter in parameters.items()}
    ordered = [names[p] for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for index, name in enumerate(ordered):
        missing = [m for m in MOMENTS if f"{m}.{name}" not in tensors]
        if missing:
            raise of_another_run([f"{missing[0]}.{name}"])
        state[index] = {m: tensors[f"{m}.{name}"] for m in MOMENTS}
        state[index]["step"] = torch.tensor(float(step))
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def first_loss_scale(precision: str) -> float:
    """Return the factor on the loss that keeps small fp16 gradients from becoming 0."""
    return 65536.0 if precision == "fp16" else 1.0


def after_overflow(progress: Progress) -> Progress:
    """Return the state with half the loss scale; the same step is then tried again.

    >>> after_overflow(Progress(loss_scale=8.0, steps_since_overflow=3)).loss_scale
    4.0
    """
    return replace(progress, loss_scale=progress.loss_scale / 2, steps_since_overflow=0)


def after_good_step(progress: Progress, *, precision: str) -> Progress:
    """Return the state after a finite step: fp16 doubles its scale every 2000 of them."""
    if precision != "fp16":
        return progress
    if progress.steps_since_overflow + 1 < GROWTH_STEPS:
        return replace(progress, steps_since_overflow=progress.steps_since_overflow + 1)
    return replace(progress, loss_scale=progress.loss_scale * 2, steps_since_overflow=0)


def not_finite(
    what: str, step: int, *, rows: NDArray[np.int64], split: PreparedItems
) -> TrainError:
    """Return the error; `step`: finished steps, `rows`: of the micro-batches in question."""
    return TrainError(
        problem(
            "not-finite",
            "step {step}: {what} is not finite, in {sequences}. No optimizer step was taken; "
            "the state after step {kept} is unchanged. Lower train.learning_rate, set "
            "train.precision: fp32, or inspect these documents",
            step=step + 1,
            what=what,
            sequences=describe_rows(split, rows),
            kept=step,
        )
    )
