"""Rows of a table on documents that were held out as a whole: terminal, report and model card."""

from __future__ import annotations

from collections.abc import Sequence

from finetune.artefacts.other_documents import Drop, OtherDocuments
from finetune.artefacts.verdicts import YARDSTICKS, items_of, where
from finetune.spec.tables.metric import metric

COLUMNS = ("language", "metric", "system", "single texts", "held out as a whole", "drop", "items")


def drop_rows(found: Sequence[OtherDocuments]) -> list[tuple[str, ...]]:
    """Return a row per system, with the columns of `COLUMNS`."""
    return [_row(one, drop) for one in found for drop in one.drops]


def _row(one: OtherDocuments, drop: Drop) -> tuple[str, ...]:
    row = metric(one.test.metric)
    places = row.decimals
    low, high = f"{drop.drop_low:+z.{places}f}", f"{drop.drop_high:+z.{places}f}"
    kind = "another card" if one.held_out == "card" else "other documents"
    number = f"{one.documents:,} document{'' if one.documents == 1 else 's'}"
    return (
        where(one.test),
        row.label,
        YARDSTICKS.get(drop.system, drop.system),
        f"{drop.single:z.{places}f}",
        f"{drop.whole:z.{places}f}",
        f"{drop.drop:+z.{places}f} [{low}, {high}]",
        f"{kind}: {items_of(one.test)}, of {number}; interval over {one.resampled}",
    )
