"""Tables (CSV, TSV): a segment per line of a cell in the columns that are named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from finetune.errors import DataError, suggestion
from finetune.messages import Place, problem
from finetune.translate.formats.cut import Cut
from finetune.translate.formats.inline_marks import each_line
from finetune.translate.skeleton import Enclosed, Part

_DELIMITERS = ",;\t|"
_PLAIN_END = re.compile(r"[\r\n]")


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell where it stands: `text[begin:end]`, quotation marks included."""

    row: int
    """From 1, the header."""
    column: int
    begin: int
    end: int
    is_quoted: bool
    value: str


def cut_csv(text: str, cut: Cut) -> list[Part]:
    """Return the cells of the named columns; the delimiter is the most frequent of the header."""
    head = next(_cells(text, delimiter="\0", cut=cut, rows=1), None)
    line = text[: head.end] if head else ""
    return _cut(text, cut, delimiter=max(_DELIMITERS, key=line.count))


def cut_tsv(text: str, cut: Cut) -> list[Part]:
    """Return the cells of the named columns between tabs."""
    return _cut(text, cut, delimiter="\t")


def _cut(text: str, cut: Cut, *, delimiter: str) -> list[Part]:
    cells = list(_cells(text, delimiter=delimiter, cut=cut))
    wanted = _wanted([cell.value for cell in cells if cell.row == 1], cut)
    parts: list[Part] = []
    done = 0
    for cell in cells:
        if cell.row == 1 or cell.column not in wanted or not cell.value.strip():
            continue
        label = str(cell.row) if len(wanted) == 1 else f"{cell.row} {wanted[cell.column]}"
        inside = tuple(each_line(cell.value, label=label))
        enclosed = partial(_enclosed, delimiter=delimiter, is_quoted=cell.is_quoted)
        parts += [text[done : cell.begin], Enclosed(inside, enclosed)]
        done = cell.end
    return [*parts, text[done:]]


def _wanted(header: Sequence[str], cut: Cut) -> dict[int, str]:
    """Return number -> name of the columns to translate."""
    names = [name.strip() for name in header]
    if not cut.columns:
        raise DataError(
            problem(
                "no-column-named",
                "which column is to be translated? its columns are {names}; add `--column NAME`",
                at=Place(cut.path, 1),
                names=names,
            )
        )
    for name in cut.columns:
        if name not in names:
            raise DataError(
                problem(
                    "no-such-column",
                    "there is no column {name!r}; its columns are {names}{hint}",
                    at=Place(cut.path, 1),
                    name=name,
                    names=names,
                    hint=suggestion(name, names),
                )
            )
    return {number: name for number, name in enumerate(names) if name in cut.columns}


def _enclosed(value: str, *, delimiter: str, is_quoted: bool) -> str:
    """Return a value as a cell: in quotation marks if it was, or if it has to be."""
    needs = delimiter in value or _PLAIN_END.search(value) or value.startswith('"')
    return '"' + value.replace('"', '""') + '"' if is_quoted or needs else value


def _cells(text: str, *, delimiter: str, cut: Cut, rows: int | None = None) -> Iterator[_Cell]:
    """Yield the cells of a table (RFC 4180); DataError for quotation marks that do not close."""
    at, row, column = 0, 1, 0
    plain = re.compile(rf"[^\r\n{re.escape(delimiter)}]*")
    while at < len(text) and (rows is None or row <= rows):
        begin, is_quoted = at, text[at] == '"'
        if is_quoted:
            at = _closing(text, at, cut)
            value = text[begin + 1 : at - 1].replace('""', '"')
            rest = plain.match(text, at)
            tail = rest[0] if rest else ""
            value = "" if tail else value  # `"a" b` is no cell that can be written again
            at += len(tail)
        else:
            found = plain.match(text, at)
            at = found.end() if found else at
            value = text[begin:at]
        yield _Cell(row, column, begin, at, is_quoted, value)
        if text.startswith(delimiter, at):
            at, column = at + len(delimiter), column + 1
            if at == len(text):
                yield _Cell(row, column, at, at, False, "")
        elif at < len(text):
            at += 2 if text.startswith("\r\n", at) else 1
            row, column = row + 1, 0


def _closing(text: str, begin: int, cut: Cut) -> int:
    """Return the end of a quoted cell, behind its mark."""
    at = begin + 1
    while (at := text.find('"', at)) >= 0:
        if text[at + 1 : at + 2] != '"':
            return at + 1
        at += 2
    raise DataError(
        problem(
            "open-quotation",
            "a cell begins with a quotation mark that never closes; close it, or double the mark "
            "inside of a quoted cell",
            at=Place(cut.path, text.count("\n", 0, begin) + 1),
        )
    )
