"""Generations of base and adapter for the same prompts (generations.jsonl)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from finetune.artefacts.items import Item
from finetune.evaluate.compare import Asked, Outputs, by_item
from finetune.evaluate.outputs import Generation
from finetune.evaluate.parts import Part


@dataclass(frozen=True, slots=True)
class Generated:
    """One test item and what both systems generated for it."""

    item: Item
    base: str
    adapter: str
    phase: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    """Of other models of the recipe, by name."""


def generated_by_both(
    asked: Asked, parts: Sequence[Part], outputs: Mapping[str, Sequence[Outputs]]
) -> list[Generated]:
    """Return the generations of a task, part by part; none if it is not answered by generating.

    `outputs`: by system, part by part.
    """
    if asked.task.gives is not Generation:
        return []
    found = []
    for number, part in enumerate(parts):
        both = (outputs[name][number] for name in ("base", "adapter"))
        for group, base, adapter in zip(asked.groups[number], *both, strict=True):
            found += [
                Generated(item, one.text, other.text, part.phase)
                for item, one, other in zip(group.items, base, adapter, strict=True)
            ]
    return found


def beside_models(
    generated: Sequence[Generated], asked: Asked, answers: Mapping[str, Sequence[Outputs]]
) -> list[Generated]:
    """Return generations with those of other models beside them.

    `answers`: of each model to the task, part by part, as far as it answered.
    """
    if not generated:
        return []
    texts: dict[int, dict[str, str]] = {}
    for name, by_part in answers.items():
        for item, output in by_item(asked, by_part).items():
            texts.setdefault(item, {})[name] = output.text
    return [replace(one, models=texts.get(id(one.item), {})) for one in generated]


def write_generations(path: Path, generated: Sequence[Generated]) -> None:
    """Write one JSON object per generation, text unescaped."""
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for one in generated:
            item = one.item
            record = {
                "id": item.id,
                "card": item.card,
                "language": item.language,
                "direction": item.direction,
                "phase": one.phase,
                "prompt": item.prompt,
                "source": item.source,
                "reference": item.reference,
                "base": one.base,
                "adapter": one.adapter,
            } | ({"models": dict(one.models)} if one.models else {})
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
