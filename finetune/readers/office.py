"""Reader of Excel files: rows of the sheets that have the columns of the card."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any
from xml.parsers import expat

from finetune.errors import DataError
from finetune.messages import Place, Sentence, phrase, problem, sentence
from finetune.readers.guards import library, listed, no_nul, refuse_legacy_font, too_much
from finetune.readers.office_archive import archive_of, cannot_open
from finetune.readers.reasons import (
    ABOVE_HEADER,
    COMMENT,
    DRAWN,
    ERROR_CELL,
    FORMULA_CELL,
    HIDDEN_ROW,
    NOT_TEXT_CELL,
    REPEATED_HEADER,
    SHEET_NOT_READ,
)
from finetune.readers.record import Rejection, Unit
from finetune.readers.tables import ABOUT, record_of, wanted_columns
from finetune.readers.tabular.column_names import has_all, plain_name, positions, resolved
from finetune.readers.tabular.missing_values import reason_of
from finetune.readers.tabular.table_header import header_unclear, is_header, repeats_header
from finetune.readers.tabular.table_rows import Row
from finetune.readers.tabular.workbook import Cell, Sheet, SheetRow, Workbook
from finetune.readers.xml_stream import refuse_large
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock

MAX_ELEMENTS = 2_000_000
"""Elements in one row of a sheet, or in a part that is read as a whole: the texts of all cells."""
MAX_CELLS = 20_000_000
"""Cells of a file."""
MAX_ROWS = 2**20
"""Of a sheet, as in Excel; skipped rows count."""
HEADER_ROWS = 20
"""Filled rows of a sheet among which the header is looked for."""
_REASONS = {
    **{"number": NOT_TEXT_CELL, "boolean": NOT_TEXT_CELL, "date": NOT_TEXT_CELL},
    **{"error": ERROR_CELL, "formula": FORMULA_CELL},
}
_BESIDE = {"comment": COMMENT, "drawing": DRAWN}


def read_xlsx(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Rows of every sheet that has the columns among its first filled rows.

    What a person does not see in the spreadsheet is not read: hidden sheets that the card does not
    name, hidden and filtered rows. A cell that holds no text is no record. Everything that is not
    read is rejected with a reason. DataError for a file without any such row.
    """
    for file in files:
        with _book(file) as book:
            _refuse_missing_sheets(book, corpus)
            empty = True
            budget = _Cells(file.place())
            for sheet in book.sheets:
                for unit in _SheetUnits(book, sheet, corpus, budget).read():
                    empty = empty and getattr(unit, "reason", "") == SHEET_NOT_READ
                    yield unit
            if empty:
                raise DataError(
                    problem(
                        "no-rows",
                        "no sheet has rows below the columns {columns!r}",
                        at=file.place(),
                        columns=list(wanted_columns(corpus)),
                    )
                )


def xlsx_columns(file: SourceFile, **stated: Any) -> list[str]:
    """Return the names of the columns of all visible sheets; DataError if it cannot be read."""
    names: dict[str, str] = {}
    width = 0
    budget = _Cells(file.place())
    with _book(file) as book:
        for sheet in _chosen(book, stated.get("sheets")):
            rows = list(islice(_filled(book, sheet, budget), HEADER_ROWS))
            width = max([width, *(max(row.cells) + 1 for row in rows if row.cells)])
            header = _guessed(rows, stated.get("header"))
            for cell in header.cells.values() if header else ():
                names.setdefault(plain_name(cell.text).casefold(), plain_name(cell.text))
    if stated.get("header") == "none":
        return [str(number) for number in range(1, width + 1)]
    return [name for name in names.values() if name]


def xlsx_keys(file: SourceFile, **stated: Any) -> dict[str, Any]:
    """Return the keys of a card that a file needs; DataError if its header is in doubt."""
    wanted = tuple(stated.get("wanted", ()))
    if stated.get("header"):
        return {}
    verdicts: list[tuple[bool | None, Sheet, SheetRow]] = []
    named: list[int] = []
    with _book(file) as book:
        sheets = _chosen(book, stated.get("sheets"))
        for sheet in sheets:
            rows = list(islice(_filled(book, sheet, _Cells(file.place())), HEADER_ROWS))
            header = _guessed(rows, None)
            named += [r.number for r in rows if wanted and has_all(wanted, _names(r))][:1]
            if header is not None:
                below = [_as_row(row) for row in rows if row.number > header.number]
                verdicts.append((is_header(_as_row(header), below), sheet, header))
    if named:  # without the names of columns the header may be in doubt
        guessed = [header.number for verdict, _, header in verdicts if verdict]
        return {"header": named[0]} if len(sheets) == 1 and guessed != named else {}
    if any(verdict for verdict, _, _ in verdicts):
        return {}
    for verdict, sheet, header in verdicts:
        if verdict is None:
            raise header_unclear(_as_row(header), _in_sheet(file, sheet, header.number))
    return {"header": "none"} if verdicts else {}


def xlsx_understood(file: SourceFile, *, corpus: CorpusBlock) -> list[tuple[Sentence, Sentence]]:
    """Return which sheets are read, and how."""
    facts: list[tuple[Sentence, Sentence]] = []
    with _book(file) as book:
        for sheet in book.sheets:
            units = _SheetUnits(book, sheet, corpus, _Cells(file.place()))
            rows, header = units.found()
            name = sentence("sheet {name!r}", name=sheet.name)
            if units.is_read and header is not None:
                facts.append((name, sentence("header in row {row:d}", row=header.number)))
            elif units.is_read and corpus.header == "none":
                facts.append((name, sentence("no header; the columns are numbered")))
            elif rows:
                first = listed(rows[0].filled)
                facts.append((name, sentence("not read; its first row: {cells}", cells=first)))
    return facts


class _SheetUnits:
    """The text units of a sheet."""

    def __init__(self, book: Workbook, sheet: Sheet, corpus: CorpusBlock, budget: _Cells) -> None:
        self.book, self.sheet, self.corpus, self.budget = book, sheet, corpus, budget
        self.file = book.file
        self.roles = wanted_columns(corpus)
        self.texts = [n for n, role in self.roles.items() if role not in ABOUT]
        self.rows = _filled(book, sheet, budget)

    @property
    def is_read(self) -> bool:
        """Return whether the sheet is one that the card wants, or that a person sees."""
        wanted = self.corpus.sheets
        return self.sheet.name in wanted if wanted else not self.sheet.is_hidden

    def found(self) -> tuple[list[SheetRow], SheetRow | None]:
        """Return the first filled rows, and the header among them. DataError for half of one."""
        first = list(islice(self.rows, HEADER_ROWS))
        if self.corpus.header == "none":
            return first, None
        if isinstance(self.corpus.header, int):
            return first, next((r for r in first if r.number == self.corpus.header), None)
        for row in first:
            if has_all(self.roles, _names(row)):
                return first, row
        half = [row for row in first if any(positions(name, _names(row)) for name in self.texts)]
        if half and self.is_read:
            at = _in_sheet(self.file, self.sheet, half[0].number)
            resolved(self.roles, _names(half[0]), at=at)
        return first, None

    def read(self) -> Iterator[Unit]:
        """Yield them in order."""
        first, header = self.found()
        numbered = self.corpus.header == "none" and self.is_read
        if header is None and not numbered:
            if first:
                yield self._not_read(first[0])
            return
        if header is None:
            width = max((max(row.cells) for row in first if row.cells), default=0) + 1
            names = [str(number) for number in range(1, width + 1)]
            at = _in_sheet(self.file, self.sheet, "1")
        else:
            names, at = _names(header), _in_sheet(self.file, self.sheet, header.number)
        places = resolved(self.roles, names, at=at)
        for row in chain(first, self.rows):
            if header is not None and row.number <= header.number:
                if row.number < header.number:
                    at = _in_sheet(self.file, self.sheet, row.number)
                    yield Rejection(at, ABOVE_HEADER, " | ".join(row.filled))
                continue
            if header is not None and self.is_read and repeats_header(_names(row), names):
                at = _in_sheet(self.file, self.sheet, row.number)
                yield Rejection(at, REPEATED_HEADER, " | ".join(row.filled))
                continue
            yield from self._row(row, places)
        if self.is_read:
            for kind, cell, text in self.book.beside(self.sheet):
                at = self.file.place(part=phrase(self.sheet.name))
                yield Rejection(
                    _in_sheet(self.file, self.sheet, cell) if cell else at, _BESIDE[kind], text
                )

    def _not_read(self, first: SheetRow) -> Rejection:
        at = self.file.place(part=phrase(self.sheet.name))
        return Rejection(at, SHEET_NOT_READ, " | ".join(first.filled))

    def _row(self, row: SheetRow, places: dict[str, int]) -> Iterator[Unit]:
        at = _in_sheet(self.file, self.sheet, row.number)
        cells = {name: row.cells.get(place) for name, place in places.items()}
        texts = [cell for name in self.texts if (cell := cells[name])]
        if row.is_hidden or not self.is_read:
            if texts:
                yield Rejection(at, HIDDEN_ROW, " | ".join(cell.text for cell in texts))
            return
        for cell in texts:
            if reason := _REASONS.get(cell.kind) or reason_of(cell.text):
                yield Rejection(_in_sheet(self.file, self.sheet, cell.name), reason, cell.text)
                return
            refuse_legacy_font(cell.font, at=at)
        values = {name: self._value(cell) for name, cell in cells.items()}
        document = f"{self.file.name}/{self.sheet.name}"
        yield record_of(at, values, self.corpus, part_of=document)

    def _value(self, cell: Cell | None) -> str | None:
        if cell is None:
            return None
        text = cell.text
        at = _in_sheet(self.file, self.sheet, cell.name)
        return no_nul(text, at=at) if "\0" in text else text


def _refuse_missing_sheets(book: Workbook, corpus: CorpusBlock) -> None:
    there = [sheet.name for sheet in book.sheets]
    missing = [name for name in corpus.sheets if name not in there]
    if missing:
        raise DataError(
            problem(
                "no-sheet",
                "has no sheet {name!r}; its sheets: {sheets}",
                at=book.file.place(),
                name=missing[0],
                sheets=listed(there),
            )
        )


def _chosen(book: Workbook, names: Sequence[str] | None) -> list[Sheet]:
    if names:
        return [sheet for sheet in book.sheets if sheet.name in names]
    return [sheet for sheet in book.sheets if not sheet.is_hidden]


def _guessed(rows: Sequence[SheetRow], stated: Any) -> SheetRow | None:
    """Return the row that may name the columns: the first with as many filled cells as any."""
    if isinstance(stated, int):
        return next((row for row in rows if row.number == stated), None)
    most = max((len(row.filled) for row in rows), default=0)
    return next((row for row in rows if len(row.filled) == most), None)


def _filled(book: Workbook, sheet: Sheet, budget: _Cells) -> Iterator[SheetRow]:
    for row in book.rows(sheet):
        budget.take(len(row.cells), row=row.number)
        if row.filled or any(cell.kind == "formula" for cell in row.cells.values()):
            yield row


def _names(row: SheetRow) -> list[str]:
    width = max(row.cells, default=-1) + 1
    return [row.cells[n].text if n in row.cells else "" for n in range(width)]


def _as_row(row: SheetRow) -> Row:
    return Row(row.number, (" | ".join(row.filled),), _names(row))


@contextmanager
def _book(file: SourceFile) -> Iterator[Workbook]:
    """Open an Excel file whose parts are small enough to be built one by one."""
    parser = library("defusedxml.ElementTree", form="xlsx")
    with archive_of(file) as archive:
        for member in archive.infolist():
            _refuse_large(archive, member, at=file.place(part=phrase(member.filename[:60])))
        yield Workbook(archive, file, parser)


def _refuse_large(archive: zipfile.ZipFile, member: zipfile.ZipInfo, *, at: Place) -> None:
    what = sentence("elements in one row, or outside of one")
    try:
        with archive.open(member) as stream:
            refuse_large(stream, at=at, unit="row", what=what, limit=MAX_ELEMENTS)
    except expat.ExpatError:
        return  # a picture, or torn: it is read no further either
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise cannot_open(at, error) from None


@dataclass(slots=True)
class _Cells:
    """Budget of cells of a file, and bound of the rows of a sheet."""

    at: Place
    left: int = field(default_factory=lambda: MAX_CELLS)

    def take(self, cells: int, *, row: int) -> None:
        """Count a row and its cells. DataError if there were too many."""
        instead = sentence("export it as CSV")
        if row > MAX_ROWS:
            what = sentence("rows in a sheet")
            raise too_much(self.at, what=what, limit=MAX_ROWS, instead=instead)
        self.left -= cells + 1
        if self.left < 0:
            what = sentence("cells, empty ones included")
            raise too_much(self.at, what=what, limit=MAX_CELLS, instead=instead)


def _in_sheet(file: SourceFile, sheet: Sheet, cell: object) -> Place:
    """Return the place of a row or cell, as formulas of Excel write it."""
    return file.place(part=phrase(f"{sheet.name}!{cell}"))
