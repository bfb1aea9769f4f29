"""Combination of adapters by PEFT, on a base without weights, and the distance from their sum.

PEFT asks a base for names and shapes alone, so that a base of any size needs no memory here. Its
scale is 1: PEFT multiplies it by the root of the rank where the first part is rank-stabilised
(rsLoRA), although the numbers already hold the scales of the parts.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from finetune.compose.methods import Method
from finetune.errors import RecipeError, first_line
from finetune.messages import Place, problem
from finetune.models.kinds import kind_of
from finetune.models.layer_devices import empty_model

_RESULT = "composed"


@dataclass(frozen=True, slots=True)
class Combined:
    """An adapter made of several."""

    tensors: dict[str, Tensor]
    """By the names of PEFT's file, float32."""
    rank: int
    target_modules: list[str]
    distance: float
    """Frobenius norm of the difference from the weighted sum of the updates, as a share of that
    sum's norm, over all layers."""


def combine(
    base: Path,
    folders: Sequence[Path],
    weights: Sequence[float],
    *,
    method: Method,
    rank: int | None = None,
    density: float | None = None,
    seed: int = 0,
) -> Combined:
    """Combine adapters of a base by a method of PEFT.

    `rank`: of the result, for methods that reduce the updates; None: the largest of the parts.
    `density`: share of the numbers that is kept, for methods that prune; those of DARE are drawn by
    `seed`. The same arguments give the same tensors on a machine.

    Raises RecipeError for an adapter of another base, and for what PEFT refuses.
    """
    kind, model = kind_of(base), weightless(base)
    names = [f"part{number}" for number in range(len(folders))]
    for name, folder in zip(names, folders, strict=True):
        model = kind.load_adapter(model, folder, name=name)
    settings: dict[str, Any] = {"combination_type": method.name}
    if method.reduces:
        settings |= {"svd_rank": rank, "svd_full_matrices": False}
    if method.prunes:
        settings["density"] = density
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.default_generator.manual_seed(seed)
        warnings.simplefilter("ignore")  # a density of 1 prunes nothing, as was asked for
        try:
            model.add_weighted_adapter(names, list(weights), _RESULT, **settings)
        except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
            raise RecipeError(
                problem(
                    "not-composed",
                    "PEFT cannot combine these adapters ({why}); try another method, `cat` takes "
                    "most",
                    at=Place(key=f"--method {method.name}"),
                    why=first_line(error),
                )
            ) from error
    config = model.peft_config[_RESULT]
    return Combined(
        tensors=_tensors(model),
        rank=int(config.r),
        target_modules=sorted(config.target_modules),
        distance=_distance(model, names, weights),
    )


def weightless(folder: Path) -> Any:
    """Return the model in a folder with zeros that take no memory, on the CPU.

    Adapters that are put on it are real; on a meta device PEFT would move them there.
    """
    model = empty_model(folder)
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            zeros = torch.zeros((), dtype=torch.float32).expand(weight.shape)
            setattr(module, name, nn.Parameter(zeros, requires_grad=False))
    return model.eval()


def _tensors(model: Any) -> dict[str, Tensor]:
    from peft import get_peft_model_state_dict

    held = get_peft_model_state_dict(model, adapter_name=_RESULT, save_embedding_layers=False)
    return {name: tensor.detach().float().contiguous() for name, tensor in held.items()}


@torch.no_grad()
def _distance(model: Any, names: Sequence[str], weights: Sequence[float]) -> float:
    apart = total = 0.0
    layers: list[Any] = list(model.modules())
    for layer in layers:
        if _RESULT not in getattr(layer, "lora_A", ()):
            continue
        held = [(name, w) for name, w in zip(names, weights, strict=True) if name in layer.lora_A]
        wanted = sum(w * layer.get_delta_weight(name).double() for name, w in held)
        found = layer.get_delta_weight(_RESULT).double() / layer.scaling[_RESULT]
        apart += float((found - wanted).square().sum())
        total += float(torch.as_tensor(wanted).square().sum())
    return math.sqrt(apart / total) if total else 0.0
