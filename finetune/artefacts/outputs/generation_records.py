"""The reader of generations: what base and adapter wrote for each test item."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from finetune.artefacts.remake import how_to_remake
from finetune.errors import StoreError
from finetune.messages import Place, problem

GENERATIONS = "generations.jsonl"
"""File of an evaluation, one object a line: `id`, `card`, `language`, `direction`, `phase`,
`prompt`, `source`, `reference`, `base`, `adapter`, and `models` where others wrote, too."""
ANSWERS = "answers.jsonl"
"""The same of the prompts of a recipe (task `prompts`)."""
_TEXTS = ("id", "card", "language", "base", "adapter")
_OPTIONAL = ("direction", "prompt", "source", "reference")
_Record = TypeAdapter(dict[str, Any])


def read_generations(folder: Path, *, file: str = GENERATIONS) -> Iterator[dict[str, Any]]:
    """Yield the records of the generations of an evaluation; StoreError for one that is damaged."""
    if not (folder / file).is_file():
        return
    with (folder / file).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = _Record.validate_json(line)
                texts = [record[name] for name in _TEXTS]
                texts += [text for name in _OPTIONAL if (text := record.get(name)) is not None]
            except (ValidationError, KeyError):
                texts = [None]
            if not all(isinstance(text, str) for text in texts):
                raise StoreError(
                    problem(
                        "generations-damaged",
                        "is damaged; {remedy}",
                        at=Place(folder / file, number),
                        remedy=how_to_remake(folder),
                    )
                )
            yield record
