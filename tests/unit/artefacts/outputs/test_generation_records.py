"""Generations are read by judge pages, model cards and reports, each line checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.outputs.generation_records import GENERATIONS, read_generations
from finetune.errors import StoreError
from tests.support.problems import raises

RECORD: dict[str, Any] = {
    **{"id": "0", "card": "words", "language": "hau_Latn", "direction": None, "source": None},
    **{"prompt": "Ina kwana?", "reference": None, "base": "a", "adapter": "lafiya ƙ"},
}


@pytest.mark.parametrize(
    "damage", ['{"id": "1"', '["id"]', {"adapter": None}, {"base": 1}, {"source": ["a"]}]
)
def test_a_damaged_record_is_refused_with_its_line(
    tmp_path: Path, damage: str | dict[str, Any]
) -> None:
    """Torn, of another kind, or without a text where one belongs."""
    second = damage if isinstance(damage, str) else json.dumps(RECORD | damage)
    (tmp_path / GENERATIONS).write_text(f"{json.dumps(RECORD)}\n{second}\n")
    records = read_generations(tmp_path)
    assert next(records) == RECORD
    with raises(StoreError, code="generations-damaged", at=f"{tmp_path / GENERATIONS}:2"):
        next(records)


def test_an_evaluation_without_generations_has_no_records(tmp_path: Path) -> None:
    """A recipe may ask for none."""
    assert list(read_generations(tmp_path)) == []
