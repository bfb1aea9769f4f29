"""The base in memory, once: alone, with the released adapter, and with the trained one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from finetune.artefacts.job import Job
from finetune.artefacts.results import BaseResult, read_result
from finetune.errors import ReleaseError
from finetune.launch.machine_memory import machine_bytes
from finetune.launch.ranks import ranks_of
from finetune.messages import Place, problem, sentence
from finetune.models.intact import explained
from finetune.models.kinds import kind_of
from finetune.models.layer_devices import empty_model
from finetune.models.load import (
    REBUILD,
    adapter_tokenizer,
    choose_device,
    load_tokenizer,
    resolve_precision,
)
from finetune.models.rows import trained_ids
from finetune.release.probes import difference, logits_of, probes, without_effect
from finetune.sizing.policy import GIB, budget_bytes, gpu_budget_bytes, packed_bytes
from finetune.sources.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_object
from finetune.sources.weight_index import named
from finetune.spec.sections.base_model import Quantization
from finetune.spec.sections.training import Precision

TOLERANCE: Mapping[Precision, float] = {"fp32": 1e-4, "bf16": 2e-2, "fp16": 2e-2}
"""Largest difference from the trained adapter's logits, as a share of the largest logit. Both
loaders run the same products; only rows of new tokens are put beside the frozen ones, or into
them."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Differences of logits, as shares of the largest one."""

    precision: Precision | None
    """None: the base did not fit into memory, and nothing was computed."""
    from_base: float = 0.0
    from_trained: float = 0.0
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class _Place:
    """Device and numbers of the base."""

    device: torch.device
    precision: Precision
    quantization: Quantization


def compare(job: Job, tensors: Mapping[str, Tensor]) -> Compared:
    """Compare the adapter in `job.workspace`, whose file has `tensors`, with base and training.

    Three forward passes of at most 200 tokens each on one copy of the base; where that does not fit
    into memory, an empty one, which has names and shapes alone.

    Raises ReleaseError with the tensors that PEFT does not use, or what the logits show.
    """
    folder, place = job.inputs["base"].path / "model", _place_of(job)
    if place is None:
        _compare_names(job, tensors)
        return Compared(None)
    kind, trained = kind_of(folder), job.inputs["train"].path / "adapter"
    own = load_tokenizer(folder)
    rows = probes(own), probes(adapter_tokenizer(trained, own))
    base = kind.load_base(
        folder,
        precision=place.precision,
        quantization=place.quantization,
        device=place.device,
    )
    size = int(base.get_input_embeddings().weight.shape[0])
    plain = [logits_of(base, row) for row in rows[0]]
    adapted = _as_its_users_do(base, job.workspace)
    _refuse_unused(tensors, adapted)
    moved = [logits_of(adapted, row)[..., :size] for row in rows[0]]
    from_base = difference(moved, plain)
    released = [logits_of(adapted, row) for row in rows[1]]
    adapted = kind.load_adapter(adapted.unload(), trained)
    from_trained = difference(released, [logits_of(adapted, row) for row in rows[1]])
    if from_base == 0:
        raise without_effect()
    tolerance = TOLERANCE[place.precision]
    if from_trained > tolerance:
        raise ReleaseError(
            problem(
                "released-differs",
                "loaded with PEFT alone, its logits differ from those of the trained adapter by "
                "{difference:.2g} of the largest (at most {tolerance:g} is allowed); nothing is "
                "released",
                at=Place(ADAPTER_WEIGHTS),
                difference=from_trained,
                tolerance=tolerance,
            )
        )
    return Compared(place.precision, from_base, from_trained, tolerance)


def _place_of(job: Job) -> _Place | None:
    """Return the first place that holds the base: a GPU, a CPU in 32 bits, then in fewer.

    A base that was trained on in 4 or 8 bits is held in its own numbers where they fit, since that
    is how users open it.
    """
    run, device = job.recipe.run, choose_device(job.recipe.run.device)
    parameters = read_result(job.inputs["base"], BaseResult).parameters
    cpu = torch.device("cpu")
    cpu_bytes = budget_bytes(
        run.memory_gib, device_bytes=machine_bytes(), processes=ranks_of().local_world
    )
    places = [(_Place(cpu, "fp32", "none"), cpu_bytes), (_Place(cpu, "bf16", "none"), cpu_bytes)]
    packed = job.recipe.base.quantization
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        gpu_bytes = gpu_budget_bytes(run.memory_gib, free_bytes=free, total_bytes=total)
        precision = resolve_precision("auto", device, base=job.inputs["base"].path / "model")
        places.insert(0, (_Place(device, precision, "none"), gpu_bytes))
        if packed != "none":
            places.append((_Place(device, precision, packed), gpu_bytes))
    for place, room in places:
        weights = packed_bytes(
            parameters, precision=place.precision, quantization=place.quantization
        )
        if weights <= room:
            return place
    need = packed_bytes(parameters, precision="bf16", quantization="none")
    job.console.say(
        sentence(
            "the base needs {need:.0f} GiB and this process may use {room:.0f}, so that logits are "
            "not compared; names, shapes and values of the adapter are, and its scores must differ "
            "from the base's. More: --mem of the release job, or run.memory_gib",
            need=need / GIB,
            room=cpu_bytes / GIB,
        )
    )
    return None


def _as_its_users_do(base: Any, folder: Path) -> Any:
    """Put the adapter in a release on its base, as the card of the release shows it."""
    ids = trained_ids(read_object(folder / ADAPTER_CONFIG))
    if ids and base.get_input_embeddings().weight.shape[0] <= max(ids):
        base.resize_token_embeddings(1 + max(ids), mean_resizing=False)
    return _opened(base, folder).eval()


def _opened(base: Any, folder: Path, **how: Any) -> Any:
    from peft import PeftModel

    with explained(ADAPTER_WEIGHTS, remedy=REBUILD), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is missing: reported by name
        return PeftModel.from_pretrained(base, str(folder), **how)


def _compare_names(job: Job, tensors: Mapping[str, Tensor]) -> None:
    """Put the adapter on an empty base; ReleaseError if PEFT uses other names or shapes."""
    empty = empty_model(job.inputs["base"].path / "model")
    ids = trained_ids(read_object(job.workspace / ADAPTER_CONFIG))
    if ids and empty.get_input_embeddings().weight.shape[0] <= max(ids):
        empty.resize_token_embeddings(1 + max(ids), mean_resizing=False)
    _refuse_unused(tensors, _opened(empty, job.workspace, low_cpu_mem_usage=True))


def _refuse_unused(tensors: Mapping[str, Tensor], adapted: Any) -> None:
    """Raise ReleaseError with the tensors of a file that are not in the model, as they are."""
    from peft import get_peft_model_state_dict

    held = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    unused, started = tensors.keys() - held.keys(), held.keys() - tensors.keys()
    other = [
        name
        for name in tensors.keys() & held.keys()
        if held[name].shape != tensors[name].shape or not _arrived(held[name], tensors[name])
    ]
    differences = (
        (sentence("PEFT has no place for it"), unused),
        (sentence("it is missing, and PEFT starts it anew"), started),
        (sentence("it has other values in PEFT's model"), other),
    )
    problems = [
        problem(
            "tensors-not-loaded",
            "{names}: {difference}; nothing is released",
            at=Place(ADAPTER_WEIGHTS),
            names=named(sorted(names)),
            difference=difference,
        )
        for difference, names in differences
        if names
    ]
    if problems:
        raise ReleaseError(*problems)


def _arrived(held: Tensor, written: Tensor) -> bool:
    return held.is_meta or torch.equal(held.cpu(), written.to(held.dtype))
