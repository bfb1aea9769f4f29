"""Records of one file, or its problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.errors import DataError
from finetune.messages import Problem
from finetune.readers.record import Record, Rejection, Unit
from finetune.readers.units import units_of
from finetune.sources.files import resolve_files
from finetune.spec import formats as registry
from finetune.spec.card import CorpusBlock
from tests.support.prepare_job import make_card


def block_of(corpus: dict[str, Any]) -> CorpusBlock:
    """Return the keys of a card about a corpus of one file, with these changes."""
    source = {"kind": "files", "files": [{"path": "t", "sha256": "0" * 64}]}
    facts = {"kind": "text", "languages": ["hau_Latn"], "source": source}
    return CorpusBlock.model_validate(facts | corpus)


def read(folder: Path, content: Any, **corpus: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return (where, fields) of every record that a card's reader finds.

    DataError for the first malformed one.
    """
    card = make_card(folder, "corpus", content, **corpus)
    reader = registry.reader(card.corpus.format)
    files = resolve_files(card, inputs={})
    found = []
    for unit in reader(files, corpus=card.corpus):
        if not isinstance(unit, Rejection):
            found.append((unit.where, dict(unit.fields)))
        elif unit.problem is not None:
            raise DataError(unit.problem)
    return found


def units(folder: Path, content: Any, **corpus: Any) -> list[Unit]:
    """Return the units that a card's reader finds: records and rejections."""
    card = make_card(folder, "corpus", content, **corpus)
    return list(units_of(card, resolve_files(card, inputs={})))


def texts_of(folder: Path, content: Any, **corpus: Any) -> list[tuple[Any, ...]]:
    """Return the texts of every record."""
    found = units(folder, content, **corpus)
    return [tuple(unit.fields.values()) for unit in found if isinstance(unit, Record)]


def rejections(folder: Path, content: Any, **corpus: Any) -> list[tuple[str, str]]:
    """Return (reason, text) of every unit that is no record."""
    found = units(folder, content, **corpus)
    return [(unit.reason, unit.text) for unit in found if not isinstance(unit, Record)]


def problem_of(folder: Path, content: Any, **corpus: Any) -> Problem:
    """Return the one problem of a file that cannot be read."""
    with pytest.raises(DataError) as caught:
        read(folder, content, **corpus)
    [problem] = caught.value.problems
    assert isinstance(problem, Problem)
    return problem
