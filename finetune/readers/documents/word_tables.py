"""Tables of Word files: one record per row, by the columns of the card.

A column is named by the cell in the first row of a table, or by its number: then all rows are
records, but not a row that is repeated on each page as the header.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from finetune.messages import sentence
from finetune.readers.documents.word_walk import Found
from finetune.readers.guards import too_much
from finetune.readers.numbered_lines import MAX_LINE_BYTES
from finetune.readers.reasons import NOT_IN_TABLE, REPEATED_HEADER
from finetune.readers.record import Record, Rejection, Unit
from finetune.readers.tables import record_of, wanted_columns
from finetune.readers.tabular.column_names import no_column
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

MAX_COLUMNS = 100
Body = Iterable[tuple[int, Unit | Found]]
"""Units and ends of cells, rows and tables in order, each with the number of tables around it."""


@dataclass(slots=True)
class Row:
    """Row of a table."""

    table: int
    """Number of the table, from 1; tables inside of cells are text of the cell."""
    number: int
    """Number of the row in it, from 1."""
    repeated: bool = False
    """True for the header of each page."""
    cells: dict[int, list[Record]] = field(default_factory=dict)
    """Column from 0 -> paragraphs."""

    def text(self, column: int) -> str | None:
        """Return the text of a cell, a line per paragraph; None for an empty one."""
        return "\n".join(one.fields["text"] for one in self.cells.get(column, ())) or None


def rows_of(body: Body) -> Iterator[Unit | Row]:
    """Yield the rows of the tables, and the units outside of them. DataError for a huge row."""
    row, cell = Row(1, 1), list[Record]()
    characters = 0
    for depth, one in body:
        if isinstance(one, Record) and depth:
            cell.append(one)
            characters += len(one.fields["text"])
            if characters > MAX_LINE_BYTES:
                what, instead = sentence("characters in one row"), sentence("split the table")
                raise too_much(one.place, what=what, limit=MAX_LINE_BYTES, instead=instead)
        elif not isinstance(one, Found):
            yield one
        elif depth == 1 and one.kind == "tc":
            row.cells[one.column] = cell
            cell = []
        elif depth == 1 and one.kind == "tr":
            row.repeated = one.repeated
            yield row
            row, characters = Row(row.table, row.number + 1), 0
        elif depth == 1 and one.kind == "tbl":
            row = Row(row.table + 1, 1)


def units_of_tables(file: SourceFile, corpus: CorpusBlock, body: Body) -> Iterator[Unit]:
    """Yield the rows of the tables that have the columns of a card, and all other text as rejected.

    DataError if no table has them.
    """
    wanted = list(wanted_columns(corpus))
    header: dict[str, int] = {}
    there: dict[str, None] = {}
    found = False
    for one in rows_of(body):
        if isinstance(one, Rejection):
            yield one
        elif isinstance(one, Record):
            yield outside(one)
        elif not (header := header if one.number > 1 else _header(one, wanted, there)):
            yield from _outside_row(one)
        elif not (one.repeated or (one.number == 1 and not _by_number(wanted))):
            found = True
            values = {name: one.text(column) for name, column in header.items()}
            part = sentence("table {table:d}, row {row:d}", table=one.table, row=one.number)
            if _repeats(values):
                yield Rejection(file.place(part=part), REPEATED_HEADER, " | ".join(values))
            elif any(values.values()):
                yield record_of(file.place(part=part), values, corpus)
    if not found:
        raise no_column(file.place(), wanted[0], list(there))


def first_cells(body: Body) -> list[str]:
    """Return the texts in the first row of each table, and then the numbers of the columns."""
    names: dict[str, None] = {}
    columns = 0
    for one in rows_of(body):
        if isinstance(one, Row):
            columns = max(columns, 1 + max(one.cells, default=-1))
            if one.number == 1 and len(names) < MAX_COLUMNS:
                names |= {text: None for at in sorted(one.cells) if (text := one.text(at))}
    return [*names, *map(str, range(1, columns + 1))]


def outside(record: Record) -> Rejection:
    """Return a text that stands in no table of the card as rejected."""
    return Rejection(record.place, NOT_IN_TABLE, record.fields["text"])


def _outside_row(row: Row) -> Iterator[Unit]:
    return (outside(one) for cell in row.cells.values() for one in cell)


def _header(row: Row, wanted: Sequence[str], there: dict[str, None]) -> dict[str, int]:
    """Return column of the card -> column of a table; nothing for a table without all of them.

    `there` collects the names in first rows.
    """
    if _by_number(wanted):
        header = {name: int(name) - 1 for name in wanted}
        return header if max(header.values()) <= max(row.cells, default=-1) else {}
    names = {plain_name(row.text(at) or ""): at for at in sorted(row.cells, reverse=True)}
    if len(there) < MAX_COLUMNS:
        there |= {text: None for at in row.cells if (text := row.text(at))}
    header = {name: names[plain_name(name)] for name in wanted if plain_name(name) in names}
    return header if len(header) == len(wanted) else {}


def _repeats(values: Mapping[str, str | None]) -> bool:
    """Return whether a row has the names of several columns again."""
    again = all(plain_name(value or "") == plain_name(name) for name, value in values.items())
    return again and len(values) > 1


def _by_number(wanted: Sequence[str]) -> bool:
    """Return whether columns are named by numbers: 1 is the first."""
    return all(name.isdecimal() and len(name) < 5 and int(name) for name in wanted)


def plain_name(name: str) -> str:
    """Return a name for comparison: composed, without case and surplus space.

    >>> plain_name(" Texte  (wolof)") == plain_name("texte (Wolof) ")
    True
    """
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())
