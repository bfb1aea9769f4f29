"""Test items of a prepared split: prompts, references and sources."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.other_documents import HeldOut
from finetune.artefacts.prepared_items import PreparedItems
from finetune.errors import StoreError
from finetune.messages import Place, problem


@dataclass(frozen=True, slots=True)
class Item:
    """One line of items.jsonl: a record of the split. `prompt` is laid out, ready for the model."""

    id: str
    card: str
    language: str
    prompt: str | None
    reference: str | None
    source: str | None
    direction: str | None
    """`eng_Latn>hau_Latn` for a translation."""
    document: str = ""
    """Hash of the name of the document (file, book, sheet) that it is a part of."""
    held_out: HeldOut | None = None
    """Its document, or its card, if that is held out as a whole; None: it was drawn alone."""


@dataclass(frozen=True, slots=True)
class Question:
    """One item of a public task; its text is not kept."""

    hash: str
    """SHA-256 (hex) of the item as its data set has it."""
    document: str
    """The same of the text that it is about; questions about one text depend on each other."""
    number: int
    """Number of the item in its split."""


def read_items(directory: Path, split: PreparedItems) -> list[Item]:
    """Read items.jsonl of a split; line i belongs to record i of documents.npy.

    Raises StoreError if the file does not fit the split.
    """
    path = directory / "items.jsonl"
    with path.open(encoding="utf-8") as lines:
        items = [_item(json.loads(line)) for line in lines]
    if len(items) != len(split.documents_D):
        raise StoreError(
            problem(
                "items-do-not-fit",
                "its number of lines ({items}) is not that of its documents ({documents}); remove "
                "the prepared corpus and prepare it again",
                at=Place(f"{path.parent.name}/{path.name}"),
                items=len(items),
                documents=len(split.documents_D),
            )
        )
    return items


def _item(fields: dict[str, Any]) -> Item:
    return Item(
        id=str(fields["id"]),
        card=str(fields["card"]),
        language=str(fields["language"]),
        prompt=fields.get("prompt"),
        reference=fields.get("reference"),
        source=fields.get("source"),
        direction=fields.get("direction"),
        document=fields.get("document", ""),
        held_out=fields.get("held_out"),
    )


def choose_prompts(
    items: Sequence[Item], split: PreparedItems, *, per_direction: int, per_language: int
) -> list[Item]:
    """Return the items to generate for, by direction, then instructions by language.

    The first ones by document number (the order of content hashes): a random sample that is the
    same every time. `per_direction` bounds translations, `per_language` other prompts; of items
    held out as a whole half as many are chosen beside them.
    """
    order: NDArray[np.int64] = np.argsort(split.documents_D["document"], kind="stable")
    groups: dict[tuple[bool, str, str], list[Item]] = {}
    single = {item.direction or item.language for item in items if not item.held_out}
    for index in order:
        item = items[int(index)]
        if item.prompt is None or item.reference is None:
            continue
        name = item.direction or item.language
        group = groups.setdefault((item.direction is None, name, item.held_out or ""), [])
        most = per_direction if item.direction else per_language
        if len(group) < (most // 2 if item.held_out and name in single else most):
            group.append(item)
    return [item for key in sorted(groups) for item in groups[key]]
