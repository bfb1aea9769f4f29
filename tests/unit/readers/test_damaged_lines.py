"""A damaged line of a UTF-8 file costs its own record, and ends no corpus."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.errors import DataError
from finetune.readers.record import Record, Rejection, Unit
from tests.support.reading import units

LINES = [f"Mu ŋgi dem jàng {number}" for number in range(300)]
"""Wolof: a letter of UTF-8 in every line."""
FORMATS: dict[str, tuple[str, dict[str, object]]] = {
    "text": ("{}", {}),
    "jsonl": ('{{"text": "{}"}}', {"columns": {"text": "text"}}),
    "csv": ('1,"{}"', {"columns": {"text": "text"}}),
    "tsv": ("1\t{}", {"columns": {"text": "text"}}),
}


def read(folder: Path, name: str, *, damaged: set[int], lines: list[str]) -> list[Unit]:
    row, keys = FORMATS[name]
    head = {"csv": b"id,text\n", "tsv": b"id\ttext\n"}.get(name, b"")
    rows = [
        row.format(line).encode().replace(b"dem", b"d\xe9m" if number in damaged else b"dem")
        for number, line in enumerate(lines)
    ]
    return units(folder, head + b"\n".join(rows) + b"\n", format=name, **keys)


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_line_is_one_malformed_record(tmp_path, name):
    """299 of 300 records are read; the damaged one is named by line and byte, and shown."""
    found = read(tmp_path, name, damaged={150}, lines=LINES)
    [rejection] = [unit for unit in found if isinstance(unit, Rejection)]
    assert sum(isinstance(unit, Record) for unit in found) == 299
    assert rejection.problem
    assert (rejection.reason, rejection.problem.code) == ("malformed", "damaged-line")
    assert rejection.place.line == 151 + (name in ("csv", "tsv"))
    assert rejection.problem.facts["byte"] == 0xE9
    assert "d\ufffdm jàng 150" in rejection.text


@pytest.mark.parametrize("name", FORMATS)
def test_more_than_five_percent_are_an_error(tmp_path, name):
    """16 of 300."""
    with pytest.raises(DataError) as caught:
        read(tmp_path, name, damaged=set(range(16)), lines=LINES)
    assert caught.value.problems[0].code == "too-many-malformed"


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_another_encoding_is_read_by_its_own(tmp_path, name):
    """Its accented lines are not omitted: no line of it has a letter of UTF-8."""
    plain = [f"Il va dem {number}" for number in range(300)]
    with pytest.raises(DataError) as caught:
        read(tmp_path, name, damaged={7, 150}, lines=plain)
    assert caught.value.problems[0].code == "wrong-encoding"
