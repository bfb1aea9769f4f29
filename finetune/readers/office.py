"""Readers of office files: XLSX, DOCX, PDF with a text layer.

Each through the library that is kept for it, after a look at the file that no library takes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from finetune.errors import DataError
from finetune.readers.guards import (
    bounded,
    checked_archive,
    library,
    no_nul,
    refuse_legacy_font,
    unreadable,
)
from finetune.readers.record import Record
from finetune.readers.tables import record_of, wanted_columns
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock


def read_xlsx(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """Rows of every sheet whose first filled row names the columns; a cell is text or empty.

    A formula is refused: its text is a program and not what somebody said.
    """
    openpyxl = library("openpyxl", form="xlsx")
    for file in files:
        checked_archive(file)
        with _clear(file, "an Excel file"):
            book = openpyxl.load_workbook(file.path, read_only=True, data_only=False)
        try:
            found = False
            for sheet in book.worksheets:
                for record in _sheet(file, sheet, corpus):
                    found = True
                    yield record
            if not found:
                wanted = ", ".join(map(repr, wanted_columns(corpus)))
                raise DataError(f"{file.name}: no sheet has rows below the columns {wanted}")
        finally:
            book.close()


def xlsx_columns(file: SourceFile) -> list[str]:
    """Return the names in the first filled row of each sheet; DataError if it cannot be read."""
    openpyxl = library("openpyxl", form="xlsx")
    checked_archive(file)
    names: dict[str, None] = {}
    with _clear(file, "an Excel file"):
        book = openpyxl.load_workbook(file.path, read_only=True)
        for sheet in book.worksheets:
            rows = ([str(v) for v in row if v] for row in sheet.iter_rows(values_only=True))
            names |= dict.fromkeys(next((row for row in rows if row), []))
        book.close()
    return list(names)


def _sheet(file: SourceFile, sheet: Any, corpus: CorpusBlock) -> Iterator[Record]:
    where = f"{file.name}: {sheet.title}"
    header: list[str] | None = None
    wanted = wanted_columns(corpus)
    with _clear(file, "an Excel file"):
        for number, cells in enumerate(sheet.iter_rows(), start=1):
            values = [_cell(cell, f"{where}!") for cell in cells]
            if header is None:
                header = [value or "" for value in values] if any(values) else None
                if header is not None and not set(header) & set(wanted):
                    return  # a sheet about something else
            elif any(values):
                for cell, name in zip(cells, header, strict=False):
                    if name in wanted:
                        refuse_legacy_font(_font(cell), where=f"{where}!{number}")
                row = dict.fromkeys(header) | dict(zip(header, values, strict=False))
                yield record_of(f"{where}!{number}", row, corpus)


def _cell(cell: Any, where: str) -> str | None:
    value = cell.value
    if value is None:
        return None
    if cell.data_type == "f":
        raise DataError(
            f"{where}{cell.coordinate}: holds a formula and no text; copy the column, paste it as "
            "values, and save"
        )
    return no_nul(str(value), where=f"{where}{cell.coordinate}")


def _font(cell: Any) -> str | None:
    return cell.font.name if getattr(cell, "has_style", False) and cell.font else None


def read_docx(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """One document a paragraph, those in tables included, in the order of the page."""
    docx = library("docx", form="docx")
    del corpus  # a Word file has no columns
    for file in files:
        checked_archive(file)
        with _clear(file, "a Word file"):
            document = docx.Document(str(file.path))
            styles = document.styles
        for number, paragraph in enumerate(_paragraphs(document), start=1):
            where = f"{file.name}: paragraph {number}"
            text = no_nul(" ".join(paragraph.text.split()), where=where)
            if text:
                default = paragraph.style.font.name if paragraph.style else None
                for font in {r.font.name for r in paragraph.runs} | {default}:
                    refuse_legacy_font(font or styles["Normal"].font.name, where=where)
                yield Record(where, {"text": text})


def _paragraphs(part: Any) -> Iterator[Any]:
    for block in part.iter_inner_content():
        if hasattr(block, "rows"):
            seen: set[Any] = set()
            for row in block.rows:
                for cell in row.cells:
                    if cell._tc not in seen:  # a merged cell comes once a column
                        seen.add(cell._tc)
                        yield from _paragraphs(cell)
        else:
            yield block


def read_pdf(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Record]:
    """One document a page, its lines as they stand; a scan without text is refused."""
    pypdf = library("pypdf", form="pdf")
    del corpus  # a PDF has no columns
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it talks about every oddity of a file
    for file in files:
        bounded(file)
        with _clear(file, "a PDF file"):
            reader = pypdf.PdfReader(file.path)
            if reader.is_encrypted:
                raise DataError(f"{file.name}: is protected by a password; save it without")
            pages = len(reader.pages)
        found = False
        for number in range(pages):
            where = f"{file.name}: page {number + 1}"
            with _clear(file, "a PDF file"):
                page = reader.pages[number]
                text = no_nul(page.extract_text() or "", where=where).strip()
                fonts = _fonts(page) if text else []
            for font in fonts:
                refuse_legacy_font(font, where=where)
            if text:
                found = True
                yield Record(where, {"text": text})
        if not found:
            raise DataError(
                f"{file.name}: {pages} pages and no text in them, only pictures (a scan); have its "
                "text recognised (OCR) and corrected by a speaker first"
            )


def _fonts(page: Any) -> list[str]:
    resources = page.get("/Resources")
    fonts = resources.get_object().get("/Font") if resources else None
    if not fonts:
        return []
    found = (font.get_object().get("/BaseFont") for font in fonts.get_object().values())
    return [str(name).removeprefix("/") for name in found if name]


@contextmanager
def _clear(file: SourceFile, what: str) -> Iterator[None]:
    """Turn whatever a library raises on a broken file into words; our own errors pass."""
    try:
        yield
    except DataError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # the libraries raise KeyError, struct.error, and more
        raise unreadable(
            file.name, what=what, why=f"{type(error).__name__}: {str(error)[:120]}"
        ) from None
