"""What base and adapter write for the same prompts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune.artefacts.items import Item, choose_prompts
from finetune.artefacts.packed_split import PackedSplit
from finetune.evaluate.metrics.chrf import Translated
from finetune.spec.recipe import Evaluate

_BEGINNING_TOKENS = 32
"""A text is continued from at most this many of its first tokens."""


def prompts_of(
    items: Sequence[Item], split: PackedSplit, *, settings: Evaluate, tokenizer: Any
) -> list[Item]:
    """Return the items to generate for: translations, instructions, beginnings of plain texts.

    A language gets beginnings of texts only if nothing is asked in it.
    """
    if settings.generate_items == 0:
        return []
    asked = choose_prompts(
        items,
        split,
        per_direction=settings.generate_items,
        per_language=min(settings.samples, settings.generate_items),
    )
    languages = {item.language for item in asked}
    return asked + beginnings(
        [item for item in items if item.language not in languages],
        items,
        split,
        tokenizer=tokenizer,
        per_language=min(settings.samples, settings.generate_items),
    )


def beginnings(
    wanted: Sequence[Item],
    items: Sequence[Item],
    split: PackedSplit,
    *,
    tokenizer: Any,
    per_language: int,
) -> list[Item]:
    """Return plain texts cut into a beginning (the prompt) and the rest (the reference)."""
    index_of = {id(item): index for index, item in enumerate(items)}
    wanted_indices = [index_of[id(item)] for item in wanted if item.prompt is None]
    wanted_indices.sort(key=lambda index: int(split.documents_D["document"][index]))
    found: dict[str, list[Item]] = {}
    seen: set[int] = set()
    for index in wanted_indices:
        item, record = items[index], split.documents_D[index]
        group = found.setdefault(item.language, [])
        number = int(record["document"])
        if len(group) == per_language or record["length"] < 4 or number in seen:
            continue
        seen.add(number)
        tokens = _record_tokens(split, record)
        cut = min(len(tokens) // 2, _BEGINNING_TOKENS)
        group.append(
            Item(
                id=item.id,
                card=item.card,
                language=item.language,
                prompt=tokenizer.decode(tokens[:cut], skip_special_tokens=True),
                reference=tokenizer.decode(tokens[cut:], skip_special_tokens=True),
                source=None,
                direction=None,
            )
        )
    return [item for language in sorted(found) for item in found[language] if item.prompt]


def _record_tokens(split: PackedSplit, record: np.void) -> list[int]:
    start = int(record["start"])
    row = split.tokens_NT[int(record["row"])]
    return [int(token) for token in row[start : start + int(record["length"])]]


def write_generations(path: Path, translated: Sequence[Translated]) -> None:
    """Write one JSON object a generation, text unescaped."""
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for one in translated:
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
