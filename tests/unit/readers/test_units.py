"""Text units of files: records, and rejected units within the limit of malformed ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.readers.reasons import MALFORMED
from finetune.readers.record import Record, Rejection, Unit
from finetune.readers.units import rejected, tolerated


def units(records: int, malformed: int, *, left_out: int = 0) -> Iterator[Unit]:
    for number in range(malformed):
        at = Place("a.csv", number + 1)
        yield rejected(DataError(problem("not-json", "not JSON", at=at)), text="{")
    for number in range(left_out):
        yield Rejection(Place("a.csv", number + 1), "footnote", "a note")
    for number in range(records):
        yield Record(Place("a.csv", number + 1), {"text": "a"})


@pytest.mark.parametrize(
    ("records", "malformed"), [(0, 1), (1, 1), (38, 2), (95, 5), (1900, 100), (10_000, 100)]
)
def test_a_few_malformed_records_are_units_with_a_reason(records: int, malformed: int) -> None:
    found = list(tolerated(units(records, malformed)))
    assert sum(isinstance(unit, Record) for unit in found) == records
    assert sum(unit.reason == MALFORMED for unit in found if isinstance(unit, Rejection)) == (
        malformed
    )


@pytest.mark.parametrize(("records", "malformed"), [(1, 2), (37, 2), (94, 5), (10_000, 101)])
def test_more_than_the_limit_is_an_error_that_lists_each(records: int, malformed: int) -> None:
    with pytest.raises(DataError) as raised:
        list(tolerated(units(records, malformed)))
    assert raised.value.codes == ("too-many-malformed", *["not-json"] * malformed)


def test_units_left_out_for_another_reason_have_no_limit() -> None:
    found = list(tolerated(units(1, 0, left_out=300)))
    assert len(found) == 301
