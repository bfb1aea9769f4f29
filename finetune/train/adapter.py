"""The adapter as a PEFT folder: saved after training, or loaded as a starting point.

PiSSA (Meng et al. 2024) moves part of the base weight into the first A0 and B0, so its A and B do
not belong to the base that the release names. What it learnt there is s(BA - B0A0), which is
exactly the plain LoRA of twice the rank with A' = [A; A0] and B' = [B, -B0].
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor

from finetune.errors import RecipeError
from finetune.messages import Place, Problem, problem, sentence
from finetune.models.adapter_files import CONFIG, WEIGHTS, look_at_adapter
from finetune.models.intact import explained
from finetune.models.rows import is_row
from finetune.sizing.policy import handed_on, pissa_as_plain
from finetune.sources.weight_index import named
from finetune.spec.sections.base_model import Base
from finetune.spec.sections.training import Lora
from finetune.train.checkpoint import full_disk_explained, write_folder

TOKENIZER_JSON = "tokenizer.json"
_START = Place(key="train.start_from")
_VOCABULARY = Place(key="vocabulary")


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

    Raises RecipeError when it cannot be read, lacks a tensor or is of another shape.
    """
    config, weights = read_adapter(directory)
    kinds = {
        "lora.alpha": (config.get("lora_alpha"), lora.alpha),
        "lora.rslora": (bool(config.get("use_rslora")), lora.rslora),
        "lora.dora": (bool(config.get("use_dora")), lora.dora),
        "lora.rank": (config.get("r"), lora.rank),
    }
    problems = [
        problem(
            "start-setting-differs",
            "{wanted} does not match the adapter to start from ({directory} has {found}); set "
            "{field}: {found}",
            at=Place(key=field),
            wanted=wanted,
            found=str(found),
            field=field,
            directory=directory,
        )
        for field, (found, wanted) in kinds.items()
        if found != wanted
    ]
    if problems:
        raise RecipeError(*problems)
    expected = _adapter_keys(model, None)
    _refuse_other_modules(weights, expected, directory=directory)
    bent = [k for k in weights if k not in expected or weights[k].shape != expected[k].shape]
    if bent:
        raise RecipeError(
            problem(
                "start-of-another-base",
                "{tensor} of the adapter to start from ({directory}) has the shape {shape}, which "
                "does not fit this base: it was trained on another base ({base})",
                at=Place(key="base.model"),
                tensor=bent[0],
                directory=directory,
                shape=str(tuple(weights[bent[0]].shape)),
                base=str(config.get("base_model_name_or_path")),
            )
        )
    lost = sorted(set(expected) - set(weights))
    report: Any = set_peft_model_state_dict(model, weights) if not lost else None
    strange = [] if report is None else report.unexpected_keys
    if lost or strange:
        raise RecipeError(
            problem(
                "start-tensors-differ",
                "the adapter to start from ({directory}) lacks {lost} and has {strange}, which "
                "this base has no place for; copy it again",
                at=_START,
                directory=directory,
                lost=named(lost) or "nothing",
                strange=named(strange) or "nothing",
            )
        )


def _refuse_other_modules(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, directory: Path
) -> None:
    """Raise RecipeError if an adapter to start from trains other modules or new tokens."""
    has_rows, wants_rows = any(map(is_row, weights)), any(map(is_row, expected))
    if has_rows != wants_rows:
        raise RecipeError(
            problem(
                "start-new-tokens-differ",
                "the new tokens of the adapter to start from ({directory}) differ: {difference}",
                at=_VOCABULARY,
                directory=directory,
                difference=sentence(
                    "it has its own, and this recipe has no `vocabulary`; start from another "
                    "adapter, or train both phases in one recipe"
                )
                if has_rows
                else sentence(
                    "it has none; remove `vocabulary`, or start from an adapter with the same ones"
                ),
            )
        )
    theirs, ours = ({_module(k) for k in one} for one in (weights, expected))
    if theirs != ours:
        raise RecipeError(
            problem(
                "start-targets-differ",
                "the adapter to start from ({directory}) also trains {extra} and does not train "
                "{missing}; name the same target modules",
                at=Place(key="lora.target_modules"),
                directory=directory,
                extra=named(sorted(theirs - ours)) or "nothing",
                missing=named(sorted(ours - theirs)) or "nothing",
            )
        )


def read_adapter(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return configuration and tensors of the adapter in a folder or in its `adapter/`.

    Raises RecipeError if a file is missing or damaged, or the two do not belong together.
    """
    inner = directory / "adapter"
    folder = inner if (inner / CONFIG).is_file() else directory
    try:
        config, _ = look_at_adapter(folder)
    except RecipeError as error:
        raise RecipeError(*(one.at(_under_start(one)) for one in error.problems)) from error
    with explained(f"train.start_from: {folder / WEIGHTS}", remedy="copy it again"):
        return config, safetensors.torch.load((folder / WEIGHTS).read_bytes())


def _under_start(found: Problem) -> Place:
    place = found.place or Place()
    return replace(place, key=": ".join(filter(None, ["train.start_from", place.key])))


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
            problem(
                "start-of-other-tokens",
                "the adapter to start from ({directory}) was trained with other new tokens than "
                "those of this recipe's corpora; remove `start_from`, or train both phases in one "
                "recipe",
                at=_VOCABULARY,
                directory=start,
            )
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
            raise RecipeError(
                problem(
                    "pissa-combined",
                    "pissa cannot be combined with {other}; remove one of them",
                    at=Place(key="lora.init"),
                    other=sentence("a trained {key}", key=key),
                )
            )
    return plain
