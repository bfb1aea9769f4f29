"""Excel files as they are stored: sheets, rows and cells, with what a person does not see.

The parts are read here and not by a library of spreadsheets: those return neither hidden rows, nor
a formula together with its stored result.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any, Literal
from xml.etree.ElementTree import Element

from finetune.messages import phrase, sentence
from finetune.readers.guards import clear, unreadable
from finetune.readers.xml_stream import clear_xml, drop_ended, local
from finetune.sources.files import SourceFile

EXCEL = sentence("an Excel file")
BOOK = "xl/workbook.xml"
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
_REFERENCE = re.compile(r"([A-Z]{1,3})(\d{1,9})")

Kind = Literal["text", "number", "boolean", "date", "error", "formula"]
"""Content of a cell; `formula`: one without a stored result."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A filled cell."""

    name: str
    """As formulas name it: `B3`."""
    kind: Kind
    text: str
    """Its text, or its value as it is stored."""
    font: str | None = None


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row of a sheet; cells by column from 0."""

    number: int
    is_hidden: bool
    cells: Mapping[int, Cell]

    @property
    def filled(self) -> list[str]:
        """Return the texts and values of its cells, in order."""
        return [cell.text for _, cell in sorted(self.cells.items()) if cell.text.strip()]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of a workbook."""

    name: str
    member: str
    is_hidden: bool


@dataclass
class Workbook:
    """Reads the parts of an open Excel file."""

    archive: zipfile.ZipFile
    file: SourceFile
    parser: Any
    """defusedxml.ElementTree"""
    strings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if BOOK not in self.archive.namelist():
            why = sentence("it has no workbook")
            raise unreadable(self.file.place(), what=EXCEL, why=why)
        part = "xl/sharedStrings.xml"
        if part in self.archive.namelist():
            self.strings = [_text(item) for item in self._elements(part, "si")]

    @cached_property
    def sheets(self) -> list[Sheet]:
        """Sheets with cells, in the order of their tabs."""
        targets = self._relations(BOOK)
        found = []
        for element in self._elements(BOOK, "sheet"):
            kind, member = targets.get(_attribute(element, "id"), ("", ""))
            if kind.endswith("/worksheet") and member in self.archive.namelist():
                hidden = element.get("state", "visible") != "visible"
                found.append(Sheet(element.get("name", ""), member, hidden))
        return found

    def rows(self, sheet: Sheet) -> Iterator[SheetRow]:
        """Yield the rows of a sheet that have cells. DataError for a damaged one."""
        number = 0
        for row in self._elements(sheet.member, "row"):
            number = int(row.get("r", number + 1))
            cells: dict[int, Cell] = {}
            column = -1
            for element in row:
                if local(element) == "c":
                    column = _column(element.get("r"), column + 1)
                    if cell := self._cell(element, f"{_letters(column)}{number}"):
                        cells[column] = cell
            hidden = row.get("hidden") in ("1", "true")
            yield SheetRow(number, hidden, cells)

    def beside(self, sheet: Sheet) -> Iterator[tuple[str, str, str]]:
        """Yield (kind, place, text) of comments and of texts in drawings of a sheet."""
        for kind, member in self._relations(sheet.member).values():
            if member not in self.archive.namelist():
                continue
            if kind.endswith("/comments"):
                for comment in self._elements(member, "comment"):
                    yield "comment", comment.get("ref", ""), _text(comment)
            elif kind.endswith("/drawing"):
                for body in self._elements(member, "txBody"):
                    lines = [_text(one) for one in body if local(one) == "p"]
                    if text := "\n".join(lines).strip():
                        yield "drawing", "", text

    def _cell(self, element: Element, name: str) -> Cell | None:
        parts = {local(part): part for part in element}
        stated = element.get("t", "n")
        font = self._fonts.get(int(element.get("s", 0))) if element.get("s") else None
        value = parts["v"].text or "" if "v" in parts else None
        if stated == "inlineStr":
            text = _text(parts["is"]) if "is" in parts else ""
            return Cell(name, "text", text, font) if text else None
        if "f" in parts and (value is None or (not value and stated != "str")):
            return Cell(name, "formula", "", font)
        if not value:
            return None
        if stated == "s":
            text = self.strings[int(value)]
            return Cell(name, "text", text, font) if text else None
        kinds: dict[str, Kind] = {"str": "text", "b": "boolean", "e": "error", "d": "date"}
        kind = kinds.get(stated, "number")
        if kind == "boolean":
            value = "TRUE" if value == "1" else "FALSE"
        return Cell(name, kind, _unescaped(value) if kind == "text" else value, font)

    @cached_property
    def _fonts(self) -> dict[int, str]:
        """Style number -> name of its font."""
        part = "xl/styles.xml"
        if part not in self.archive.namelist():
            return {}
        names: list[str] = []
        styles: dict[int, str] = {}
        for element in self._elements(part, "fonts", "cellXfs"):
            if local(element) == "fonts":
                for one in element:
                    name = next((x.get("val", "") for x in one if local(x) == "name"), "")
                    names.append(name)
            else:
                for number, style in enumerate(element):
                    font = int(style.get("fontId", 0))
                    if font < len(names):
                        styles[number] = names[font]
        return styles

    def _relations(self, member: str) -> dict[str, tuple[str, str]]:
        """Return id -> (type, member) of the parts that a part names."""
        folder, name = PurePosixPath(member).parent, PurePosixPath(member).name
        part = f"{folder}/_rels/{name}.rels"
        if part not in self.archive.namelist():
            return {}
        found = {}
        for one in self._elements(part, "Relationship"):
            target = one.get("Target", "")
            path = target.lstrip("/") if target.startswith("/") else normpath(f"{folder}/{target}")
            found[one.get("Id", "")] = (one.get("Type", ""), path)
        return found

    def _elements(self, member: str, *names: str) -> Iterator[Element]:
        """Yield the elements of some names in a part, one in memory at a time."""
        with self._opened(member) as parsed:
            around: list[Element] = []
            ended: list[int] = []
            inside = 0
            for event, element in parsed:
                wanted = local(element) in names
                if event == "start":
                    around.append(element)
                    inside += wanted
                    continue
                around.pop()
                inside -= wanted
                if inside:
                    continue
                if wanted:
                    yield element
                element.clear()
                if around:
                    drop_ended(around, ended)

    @contextmanager
    def _opened(self, member: str) -> Iterator[Any]:
        at = self.file.place(part=phrase(member[:60]))
        with clear(at, EXCEL), clear_xml(at), self.archive.open(member) as stream:
            yield self.parser.iterparse(stream, events=("start", "end"), forbid_dtd=True)


def _text(element: Element) -> str:
    """Return the text of a string, also of one with several fonts; without reading aids."""
    parts = []
    waiting = list(element)[::-1]
    while waiting:
        one = waiting.pop()
        if local(one) == "t":
            parts.append(one.text or "")
        elif local(one) not in ("rPh", "phoneticPr"):
            waiting += list(one)[::-1]
    return _unescaped("".join(parts))


def _unescaped(text: str) -> str:
    """Return text with its escapes (`_x000D_`) as characters.

    >>> _unescaped("a_x005F_x0041_")
    'a_x0041_'
    """
    if "_x" not in text:
        return text
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _attribute(element: Element, name: str) -> str:
    """Return an attribute, whatever its namespace."""
    return next((v for key, v in element.items() if key.rpartition("}")[2] == name), "")


def _column(reference: str | None, following: int) -> int:
    """Return the number of a column from a cell's name; ValueError for no name of a cell.

    >>> _column("B3", 0), _column("AA1", 0), _column(None, 4)
    (1, 26, 4)
    """
    if reference is None:
        return following
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ValueError(reference[:20])
    number = 0
    for letter in match[1]:
        number = 26 * number + ord(letter) - 64
    return number - 1


def _letters(column: int) -> str:
    """Return the letters of a column.

    >>> _letters(0), _letters(26)
    ('A', 'AA')
    """
    letters = ""
    column += 1
    while column:
        column, left = divmod(column - 1, 26)
        letters = chr(65 + left) + letters
    return letters
