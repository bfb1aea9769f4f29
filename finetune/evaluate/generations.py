"""Generations of base and adapter for the same prompts (generations.jsonl)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.artefacts.items import Item
from finetune.evaluate.compare import Asked, Outputs
from finetune.evaluate.outputs import Generation
from finetune.evaluate.parts import Part


@dataclass(frozen=True, slots=True)
class Generated:
    """One test item and what both systems generated for it."""

    item: Item
    base: str
    adapter: str
    phase: str | None = None


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
            }
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
