"""The folder of an adapter made of several: PEFT's two files, a record of its parts, a card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finetune import __version__
from finetune.compose.composed_parts import Checked, Part
from finetune.compose.methods import DENSITY, Method
from finetune.messages import Sentence
from finetune.sources.checksums import checksum
from finetune.sources.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from finetune.spec.licence import allowed_licence

RECORD, DATA, CARD = "composed.json", "training_data.json", "README.md"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """Method and settings."""

    method: Method
    rank: int | None = None
    density: float | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Composed:
    """An adapter that was made of several."""

    rank: int
    distance: float
    """Share by which its updates differ from the weighted sum of the parts' updates."""
    licence: str | None
    """None: that of a part is not known."""
    reasons: tuple[Sentence, ...]


def compose(checked: Checked, folder: Path, asked: Asked) -> Composed:
    """Write the adapter into an empty folder.

    Raises ReleaseError for licences that no licence can meet, before anything is computed, and
    RecipeError for what PEFT refuses.
    """
    asked = replace(asked, density=asked.density or DENSITY) if asked.method.prunes else asked
    licence, reasons = _licence(checked.parts)
    from finetune.compose.combine import combine

    first = checked.parts[0].source
    made = combine(
        first.base,
        [part.source.adapter for part in checked.parts],
        [part.weight for part in checked.parts],
        method=asked.method,
        rank=asked.rank,
        density=asked.density,
        seed=asked.seed,
    )
    import safetensors.torch

    done = Composed(made.rank, made.distance, licence, reasons)
    content = safetensors.torch.save(dict(sorted(made.tensors.items())), {"format": "pt"})
    (folder / ADAPTER_WEIGHTS).write_bytes(content)
    config = _config(checked, rank=made.rank, target_modules=made.target_modules)
    _write(folder / ADAPTER_CONFIG, config)
    _write(folder / RECORD, _record(checked, asked, done))
    base = {"repo": first.base_id, "revision": first.base_revision}
    data = {"base": base | {"weights_sha256": dict(checked.base_sha256)}}
    _write(folder / DATA, data | {"languages": _languages(checked.parts)})
    (folder / CARD).write_text(_card(checked, asked, done), encoding="utf-8", newline="\n")
    return done


def _licence(parts: tuple[Part, ...]) -> tuple[str | None, tuple[Sentence, ...]]:
    """Return the freest licence that keeps the terms of base and parts; None if one is unknown."""
    stated = {part.name: part.source.licence for part in parts}
    known = {name: licence for name, licence in stated.items() if licence is not None}
    base = next((p.source.base_licence for p in parts if p.source.base_licence), None)
    if base is None or len(known) < len(stated):
        return None, ()
    return allowed_licence(
        base, known, wanted="other" if "other" in {base, *known.values()} else "auto"
    )


def _config(checked: Checked, *, rank: int, target_modules: list[str]) -> dict[str, Any]:
    """Return the configuration of plain LoRA with the scale 1, in the words of the first part."""
    source, first = checked.parts[0].source, checked.configs[0]
    excluded = {name for one in checked.configs for name in one.get("exclude_modules") or ()}
    return {
        **first,
        "base_model_name_or_path": source.base_id,
        "revision": source.base_revision,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": {},
        "alpha_pattern": {},
        "use_rslora": False,
        "init_lora_weights": True,
        "lora_dropout": 0.0,
        "target_modules": target_modules,
        "exclude_modules": sorted(excluded) or None,
    }


def _record(checked: Checked, asked: Asked, done: Composed) -> dict[str, Any]:
    first = checked.parts[0].source
    return {
        "schema": SCHEMA,
        "finetune": __version__,
        "method": asked.method.name,
        "rank": done.rank,
        "density": asked.density if asked.method.prunes else None,
        "seed": asked.seed if asked.method.draws else None,
        "base": {
            "repo": first.base_id,
            "revision": first.base_revision,
            "licence": first.base_licence,
            "weights_sha256": dict(checked.base_sha256),
        },
        "parts": [
            _part(part, config) for part, config in zip(checked.parts, checked.configs, strict=True)
        ],
        "licence": done.licence,
        "licence_reasons": [str(reason) for reason in done.reasons],
        "distance_from_sum": done.distance,
    }


def _part(part: Part, config: Mapping[str, Any]) -> dict[str, Any]:
    source = part.source
    return {
        "name": part.name,
        "weight": part.weight,
        "adapter": source.name,
        "commit": source.commit,
        "sha256": checksum(source.adapter / ADAPTER_WEIGHTS),
        "config_sha256": checksum(source.adapter / ADAPTER_CONFIG),
        "rank": config["r"],
        "licence": source.licence,
        "languages": list(source.languages),
    }


def _languages(parts: tuple[Part, ...]) -> list[str]:
    return sorted({language for part in parts for language in part.source.languages})


def _card(checked: Checked, asked: Asked, done: Composed) -> str:
    """Return a short model card: parts, method, licence; that it was not evaluated."""
    first = checked.parts[0].source
    front = ["base_model: " + json.dumps(first.base_id), "library_name: peft", "tags: [lora]"]
    if done.licence is not None:
        front.insert(0, f"license: {done.licence}")
    lines = [
        f"An adapter on {first.base_id}, made of others by `finetune compose` (method "
        f"`{asked.method.name}`, rank {done.rank}). It was not evaluated: scores of its parts are "
        "not its own.",
        "",
        "| adapter | weight | licence |",
        "|---|---|---|",
        *(
            f"| {part.source.name} | {part.weight:g} | {part.source.licence or 'not stated'} |"
            for part in checked.parts
        ),
        "",
        f"Licence: {done.licence}."
        if done.licence is not None
        else "The licence of a part or of the base is not stated: ask before you pass it on.",
        *(f"- {reason}" for reason in done.reasons),
        "",
        f"Settings and checksums of the parts: `{RECORD}`.",
    ]
    return "\n".join(["---", *front, "---", "# Composed adapter", "", *lines, ""])


def _write(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(f"{text}\n", encoding="utf-8", newline="\n")
