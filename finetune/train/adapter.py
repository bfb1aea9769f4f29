"""The adapter as a folder that PEFT loads: written at the end, or read to start from.

PiSSA (Meng et al. 2024) moves part of the base weight into the first A0 and B0, so its A and B do
not belong to the base that the release names. What it learnt there is s(BA - B0A0), which is
exactly the plain LoRA of twice the rank with A' = [A; A0] and B' = [B, -B0].
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from torch import Tensor

from finetune.errors import RecipeError, StoreError
from finetune.models.rows import is_row
from finetune.sizing.policy import handed_on, pissa_as_plain
from finetune.spec.recipe import Base, Lora
from finetune.train.checkpoint import full_disk_explained, write_folder

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
TOKENIZER_JSON = "tokenizer.json"


def save_adapter(
    directory: Path,
    model: PeftModel,
    *,
    tensors: Mapping[str, Tensor],
    base: Base,
    pissa_start: Mapping[str, Tensor] | None = None,
    tokenizer: Path | None = None,
) -> None:
    """Write `tensors` (by parameter name) as an adapter folder, all of it or nothing.

    The configuration names the base on the Hub and no local path. `pissa_start` holds the first A
    and B of a PiSSA training, which is written as plain LoRA. `tokenizer` is the folder of an
    extended one, without which new rows mean nothing. Raises StoreError on a full disk.
    """
    weights = _adapter_keys(model, tensors)
    config = _config(model) | {
        "base_model_name_or_path": base.released_id,
        "revision": base.revision,
        "inference_mode": True,
    }
    if pissa_start is not None:
        weights = _as_plain_lora(weights, _adapter_keys(model, pissa_start))
        rank, alpha = pissa_as_plain(
            rank=config["r"], alpha=config["lora_alpha"], rslora=config["use_rslora"]
        )
        config |= {"r": rank, "lora_alpha": alpha, "init_lora_weights": True}
    contents = {
        WEIGHTS: safetensors.torch.save(
            {k: t.detach().cpu().contiguous() for k, t in weights.items()}, {"format": "pt"}
        ),
        CONFIG: (json.dumps(config, indent=2, sort_keys=True) + "\n").encode(),
    }
    if tokenizer is not None:
        contents |= {path.name: path.read_bytes() for path in sorted(tokenizer.iterdir())}
    with full_disk_explained(directory, what="the adapter"):
        write_folder(directory, contents)


def load_start(model: PeftModel, directory: Path, *, lora: Lora) -> None:
    """Set the weights of the adapter in `directory` (or its `adapter/`) into a fresh adapter.

    Raises StoreError when it cannot be read and RecipeError when it is of another shape.
    """
    config, weights = read_adapter(directory)
    kinds = {
        "lora.alpha": (config.get("lora_alpha"), lora.alpha),
        "lora.rslora": (bool(config.get("use_rslora")), lora.rslora),
        "lora.dora": (bool(config.get("use_dora")), lora.dora),
        "lora.rank": (config.get("r"), lora.rank),
    }
    problems = [
        f"{field}: {wanted} does not match the adapter to start from ({directory} has {found}): "
        f"set {field}: {found}"
        for field, (found, wanted) in kinds.items()
        if found != wanted
    ]
    if problems:
        raise RecipeError(*problems)
    expected = _adapter_keys(model, None)
    if any(map(is_row, weights)) and not any(map(is_row, expected)):
        raise RecipeError(
            f"vocabulary: the adapter to start from ({directory}) has new tokens of its own; a "
            "recipe without `vocabulary` cannot go on with it"
        )
    if any(map(is_row, expected)) and not any(map(is_row, weights)):
        raise RecipeError(
            f"vocabulary: the adapter to start from ({directory}) has no new tokens: leave "
            "`vocabulary` out, or start from an adapter with the same ones"
        )
    for one, other, text in (
        (weights, expected, "the adapter to start from also changes"),
        (expected, weights, "the adapter to start from does not change"),
    ):
        extra = sorted({_module(k) for k in one} - {_module(k) for k in other})
        if extra:
            raise RecipeError(
                f"lora.targets: {text} {extra[0]} and {len(extra) - 1} other modules "
                f"({directory}): name the same targets"
            )
    bent = [k for k in weights if k not in expected or weights[k].shape != expected[k].shape]
    if bent:
        raise RecipeError(
            f"base.model: {bent[0]} of the adapter to start from ({directory}) has shape "
            f"{tuple(weights[bent[0]].shape)}, which this base has no place for: it was trained "
            f"on another base ({config.get('base_model_name_or_path')})"
        )
    set_peft_model_state_dict(model, weights)


def read_adapter(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return configuration and tensors of the adapter in a folder or in its `adapter/`."""
    inner = directory / "adapter"
    folder = inner if (inner / CONFIG).is_file() else directory
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        return config, safetensors.torch.load((folder / WEIGHTS).read_bytes())
    except (OSError, ValueError, SafetensorError) as error:
        raise StoreError(
            f"train.start_from: no adapter can be read in {directory}: it needs {CONFIG} and "
            f"{WEIGHTS} ({error})"
        ) from error


def lora_to_attach(lora: Lora, *, start: Path | None) -> Lora:
    """Return the settings of the adapter to build before a start adapter is set into it.

    A PiSSA training hands on a plain LoRA of twice the rank (and the alpha that goes with it).
    """
    if start is None:
        return lora
    plain = handed_on(lora)
    if plain.rank != lora.rank and read_adapter(start)[0].get("r") != plain.rank:
        return lora.model_copy(update={"init": "default"})  # not of a PiSSA training
    return plain


def same_tokenizer(start: Path, tokenizer: Path) -> None:
    """Raise RecipeError unless an adapter to start from has the same tokens behind its rows."""
    inner = start / "adapter"
    theirs = (inner if (inner / CONFIG).is_file() else start) / TOKENIZER_JSON
    if not theirs.is_file() or theirs.read_bytes() != (tokenizer / TOKENIZER_JSON).read_bytes():
        raise RecipeError(
            f"vocabulary: the adapter to start from ({start}) was trained with other tokens than "
            "this recipe's corpora give, so its rows would stand for other text; leave "
            "`start_from` out, or train both phases in one recipe"
        )


def _module(key: str) -> str:
    return key.rsplit(".lora_", 1)[0].removeprefix("base_model.model.")


def _adapter_keys(model: PeftModel, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    given = None if tensors is None else dict(tensors)
    found: dict[str, Tensor] = get_peft_model_state_dict(
        model, state_dict=given, save_embedding_layers=False
    )
    return found


def _config(model: PeftModel) -> dict[str, Any]:
    """PEFT's own configuration file as a mapping; its sets come out in the order of their names."""
    with tempfile.TemporaryDirectory() as folder:
        model.peft_config["default"].save_pretrained(folder)
        config: dict[str, Any] = json.loads((Path(folder) / CONFIG).read_bytes())
    for name in ("target_modules", "modules_to_save", "exclude_modules"):
        if isinstance(config.get(name), list):
            config[name] = sorted(config[name])
    return config


def _as_plain_lora(weights: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> dict[str, Tensor]:
    plain = {}
    for key, tensor in weights.items():
        if ".lora_A." in key:
            plain[key] = torch.cat([tensor, start[key].to(tensor)], dim=0)
        elif ".lora_B." in key:
            plain[key] = torch.cat([tensor, -start[key].to(tensor)], dim=1)
        elif is_row(key):
            plain[key] = tensor
        else:
            raise RecipeError(f"lora.init: pissa cannot be combined with what trains {key}")
    return plain
