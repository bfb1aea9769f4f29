"""Places of the models of an evaluation: the GPU of a process, or several that share the layers.

A process takes as many GPUs as the largest of its models needs. Of the ranks of a node, which see
the same GPUs, only those take part that begin such a group. Never run on cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from finetune.artefacts.job import Job
from finetune.errors import RecipeError
from finetune.evaluate.base_and_adapter import precision_of
from finetune.launch.ranks import ranks_of
from finetune.messages import Place, problem
from finetune.models.decode.translation_models import is_translation_model
from finetune.models.layer_devices import device_map_of
from finetune.models.load import choose_device
from finetune.sizing.evaluation_need import evaluation_need
from finetune.sizing.layers_over_gpus import Need, gpus_needed, layers_over
from finetune.sizing.policy import GIB
from finetune.sizing.shape import model_shape
from finetune.sources.model_folder import CONFIG, read_object
from finetune.spec.sections.base_model import Base, Quantization
from finetune.spec.sections.compared_model import ComparedModel, role_of

if TYPE_CHECKING:
    from finetune.models.layer_devices import DeviceMap


@dataclass(frozen=True, slots=True)
class Placing:
    """Place of a model."""

    devices: tuple[torch.device, ...]
    layers: tuple[int, ...] = ()
    """Number of the device of each layer, where there are several."""

    @property
    def sharding(self) -> str:
        """Return what a signature says of it."""
        return f"layers-over-{len(self.devices)}" if self.layers else "none"

    def device_map(self, folder: Path) -> DeviceMap | None:
        """Return where each module goes; None if all go to the first device."""
        return device_map_of(folder, self.layers, self.devices) if self.layers else None


@dataclass(frozen=True, slots=True)
class _Cards:
    """GPUs that this process sees."""

    count: int
    memory_bytes: int
    """Of the smallest."""


def placing_of(job: Job, folder: Path, *, quantization: Quantization) -> Placing:
    """Return the place of a model. RecipeError if the visible GPUs do not hold its weights."""
    device, cards = choose_device(job.recipe.run.device), _cards(job)
    need = _need_of(job, folder, quantization=quantization) if cards else None
    if cards is None or need is None:
        return Placing((device,))
    gpus = gpus_needed(need, memory_bytes=cards.memory_bytes, visible=cards.count)
    if gpus is None:
        raise _too_large(need, cards)
    if gpus == 1:
        return Placing((device,))
    first = int(device.index)
    devices = tuple(torch.device("cuda", first + number) for number in range(gpus))
    return Placing(devices, layers_over(need, gpus))


def base_placing(job: Job) -> Placing:
    """Return the place of the base, which is that of the adapter."""
    folder = job.inputs["base"].path / "model"
    return placing_of(job, folder, quantization=job.recipe.base.quantization)


def takes_part(job: Job) -> bool:
    """Return whether this rank has GPUs of its own for the largest model of the evaluation."""
    cards, rank = _cards(job), ranks_of().local_rank
    if cards is None or rank == 0:
        return True
    models: list[tuple[Path, Base]] = [(job.inputs["base"].path, job.recipe.base)]
    for model in job.recipe.evaluate.models:
        if isinstance(model, ComparedModel) and role_of(model.name) in job.inputs:
            models.append((job.inputs[role_of(model.name)].path, model))
    each = max(
        len(placing_of(job, path / "model", quantization=model.quantization).devices)
        for path, model in models
    )
    return each == 1 or (rank % each == 0 and rank + each <= cards.count)


def _cards(job: Job) -> _Cards | None:
    if choose_device(job.recipe.run.device).type != "cuda":
        return None
    count = torch.cuda.device_count()
    sizes = [int(torch.cuda.get_device_properties(n).total_memory) for n in range(count)]
    return _Cards(count, min(sizes))


def _need_of(job: Job, folder: Path, *, quantization: Quantization) -> Need | None:
    """Return the bytes of a model; None where they are not counted, and it is loaded on one GPU."""
    if is_translation_model(folder):
        return None
    try:
        shape = model_shape(read_object(folder / CONFIG), source=str(folder / CONFIG))
    except RecipeError:
        return None
    return evaluation_need(
        shape,
        lora=job.recipe.lora,
        sequence_tokens=job.recipe.prepare.sequence_tokens,
        precision=precision_of(job, choose_device(job.recipe.run.device)),
        quantization=quantization,
    )


def _too_large(need: Need, cards: _Cards) -> RecipeError:
    enough = gpus_needed(need, memory_bytes=cards.memory_bytes, visible=need.layers)
    facts: dict[str, Any] = {"count": cards.count, "gib": cards.memory_bytes / GIB}
    at = Place(key="evaluate")
    if enough is None:
        return RecipeError(
            problem(
                "base-too-large-to-evaluate",
                "a layer of the model does not fit on a GPU of {gib:.0f} GiB; choose a smaller "
                "base, or `base.quantization: 4bit`",
                at=at,
                **facts,
            )
        )
    return RecipeError(
        problem(
            "base-too-large-to-evaluate",
            "the weights of the model do not fit on the GPUs that this process sees ({count}, "
            "{gib:.0f} GiB each): it needs about {enough} of them; give each task of the "
            "evaluation as many (`evaluate.sbatch` of the site, for example `#SBATCH "
            "--gpus-per-node={enough}`), or set `base.quantization: 4bit`",
            at=at,
            enough=enough,
            **facts,
        )
    )
