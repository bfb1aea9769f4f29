"""The shape of a table: separator, quotation marks, header. Found, stated, or refused in doubt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.readers.encodings import Found
from finetune.readers.guards import listed
from finetune.readers.numbered_lines import encoding_of, ended_lines
from finetune.readers.tabular.column_names import has_all, plain_name
from finetune.readers.tabular.table_counts import Counts, Widths, count
from finetune.readers.tabular.table_rows import Line, Row, rows
from finetune.sources.files import SourceFile
from finetune.spec.values.table_keys import BARS

HEAD_LINES = 1000
HEADER_ROWS = 20
"""Rows among which the header is looked for."""
SEPARATORS = (",", ";", "\t", BARS, "|")
EVEN_SHARE = 0.9
_STATED = re.compile(r'"?sep=(.)"?[,;\t|]*', re.IGNORECASE)
"""First line by which Excel is to know the separator."""


@dataclass(frozen=True, slots=True)
class Stated:
    """Statements of the card, or of a person, about a table."""

    encoding: Any = "utf-8"
    separator: str | None = None
    """As in a card: a sign, `tab` or `none`."""
    header: Any = None
    quotes: str | None = None
    wanted: tuple[str, ...] = ()
    """Names of columns that the header has; empty if they are not known yet."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Separator, quotation marks and header of a table, and counts over its rows."""

    encoding: Found
    separator: str
    """Empty for a single column."""
    quoted: bool
    """True if quotation marks enclose cells."""
    header: Row | None
    """The row with the names; None if there is none."""
    names: tuple[str, ...]
    """Names of the columns; numbers from 1 without a header."""
    widths: Widths
    skipped: int = 0
    """Line that only states the separator (`sep=;`), or 0."""
    counts: Counts = field(default_factory=Counts)
    """Over all rows of the file."""

    @property
    def first_line(self) -> int:
        """Number of the first line below the header."""
        return (
            self.skipped + 1 if self.header is None else self.header.line + len(self.header.lines)
        )


def shape_of(file: SourceFile, stated: Stated, *, usual: str) -> Shape | None:
    """Return the shape of a table, None for an empty file; `usual`: separator of its format.

    Raises DataError where the file leaves it in doubt, with the key of the card to write.
    """
    encoding = encoding_of(file, encoding=stated.encoding)
    head = list(islice(ended_lines(file, encoding=stated.encoding), HEAD_LINES))
    if not any(text.strip() for _, text, _ in head):
        return None
    skipped = _STATED.fullmatch(head[0][1].strip("\r"))
    sign = {"tab": "\t", "none": ""}.get(stated.separator or "", stated.separator)
    if sign is None and skipped:
        sign = skipped[1]
    if skipped:
        head = head[1:]
    found = _found(head, file, stated, usual=usual, sign=sign)
    usual = sign or found.separator or usual
    if stated.quotes is None and _begins_quoted(file, stated, found.separator):
        quoted = None
    else:
        quoted = stated.quotes != "literal"
    return _read_through(
        file, stated, found, encoding=encoding, skipped=bool(skipped), quoted=quoted, usual=usual
    )


@dataclass(frozen=True, slots=True)
class _Head:
    """Findings from the first lines."""

    separator: str
    header: Row | None
    names: tuple[str, ...]
    widths: Widths


def _found(
    head: Sequence[Line], file: SourceFile, stated: Stated, *, usual: str, sign: str | None
) -> _Head:
    """Return separator and header from the first lines. DataError in doubt."""
    quoted = stated.quotes != "literal"
    no_sign = "|" if are_aligned([text for _, text, _ in head]) else BARS  # the other is none here
    others = (s for s in SEPARATORS if s not in (usual, no_sign))
    tried = [sign] if sign is not None else [usual, *others]
    read = {s: _good_rows(head, file, s, quoted=quoted) for s in tried}
    if stated.header == "none":
        return _without_header(read, file, usual=usual)
    if isinstance(stated.header, int):
        read = {s: [row for row in found if row.line >= stated.header] for s, found in read.items()}
    if stated.wanted:
        return _by_names(read, stated, file, usual=usual)
    separator = _even(read, file, usual=usual)
    is_stated = isinstance(stated.header, int) and bool(read[separator])
    header = read[separator][0] if is_stated else _first_full(read[separator])
    return _headed(separator, header)


def _good_rows(
    head: Sequence[Line], file: SourceFile, separator: str, *, quoted: bool
) -> list[Row]:
    found = rows(head, file=file, separator=separator, quoted=quoted)
    good = [row for row in found if not row.broken and not row.is_blank]
    if good or not quoted:
        return good
    return _good_rows(head, file, separator, quoted=False)


def _headed(separator: str, header: Row) -> _Head:
    names = [plain_name(name) for name in header.cells]
    least = max((n for n, name in enumerate(names, start=1) if name), default=1)
    return _Head(separator, header, tuple(names), Widths(least, len(names)))


def _without_header(read: dict[str, list[Row]], file: SourceFile, *, usual: str) -> _Head:
    separator = _even(read, file, usual=usual, only_usual=True)
    sizes = Counter(len(row.cells) for row in read[separator])
    width = max(sizes, key=lambda size: (sizes[size], size), default=1)
    return _Head(separator, None, tuple(map(str, range(1, width + 1))), Widths(width, width))


def _by_names(read: dict[str, list[Row]], stated: Stated, file: SourceFile, *, usual: str) -> _Head:
    """Return the reading whose header has the wanted names."""
    candidates = []
    for separator, found in read.items():
        header = next(
            (row for row in found[:HEADER_ROWS] if has_all(stated.wanted, row.cells)), None
        )
        if header is not None:
            candidates.append((separator, header))
    if not candidates:
        separator = _even(read, file, usual=usual)
        return _headed(separator, _first_full(read[separator]))
    separators = [separator for separator, header in candidates if len(header.cells) > 1]
    if len(separators) > 1:
        raise _unclear(file, candidates)
    if separators:
        [chosen] = [one for one in candidates if one[0] == separators[0]]
    else:
        chosen = candidates[0]
        _refuse_hidden_columns(read, chosen[1], file)
    return _headed(*chosen)


def _refuse_hidden_columns(read: dict[str, list[Row]], header: Row, file: SourceFile) -> None:
    """Raise DataError for a single column whose name holds a separator that the rows have too."""
    for separator, found in read.items():
        width = sum(1 for _ in header.cells[0].split(separator)) if separator else 1
        if width > 1 and _share(found, width) >= EVEN_SHARE:
            raise _unclear(file, [("", header), (separator, _first_full(found))])


def _even(
    read: dict[str, list[Row]], file: SourceFile, *, usual: str, only_usual: bool = False
) -> str:
    """Return the separator that splits the rows evenly. DataError if several do.

    `only_usual`: no other than that of the format is taken, unless it is stated.
    """
    if len(read) == 1:
        return next(iter(read))
    even = {}
    for separator, found in read.items():
        header = _first_full(found) if found else None
        if header is not None and len(header.cells) > 1:
            below = [row for row in found if row.line >= header.line]
            if _share(below, len(header.cells)) >= EVEN_SHARE:
                even[separator] = header
    if BARS in even:  # no text has it
        return BARS
    clean = {
        s: header
        for s, header in even.items()
        if not any(other in cell for other in even if other != s for cell in header.cells)
    }
    if len(clean) == 1 and not (only_usual and usual not in clean):
        return next(iter(clean))
    if even:
        candidates = list(even.items())
        if len(candidates) == 1:
            first = read[usual][0]
            candidates.insert(0, (usual if len(first.cells) > 1 else "", first))
        raise _unclear(file, candidates)
    return usual


def are_aligned(lines: Sequence[str]) -> bool:
    """Return whether lines are pairs as aligners take them: `|||` once in most of them.

    >>> are_aligned(["a b ||| c", "d ||| e"]), are_aligned(["a|||b", "c|d||e"])
    (True, False)
    """
    filled = [line for line in lines if line.strip()]
    return sum(line.count(f" {BARS} ") == 1 for line in filled) >= EVEN_SHARE * len(filled)


def _share(found: Sequence[Row], width: int) -> float:
    """Return the share of rows with a number of cells."""
    fitting = sum(len(row.cells) == width for row in found)
    return fitting / max(1, len(found))


def _first_full(found: Sequence[Row]) -> Row:
    """Return the first of the rows at the top that has as many filled cells as any of them."""
    top = found[:HEADER_ROWS]
    filled = [sum(bool(cell.strip()) for cell in row.cells) for row in top]
    usual_width = Counter(len(row.cells) for row in found).most_common(1)[0][0]
    most = max(min(n, usual_width) for n in filled)
    return next(row for row, n in zip(top, filled, strict=True) if n >= most)


def _unclear(file: SourceFile, candidates: Sequence[tuple[str, Row]]) -> DataError:
    shown = {separator or "none": header for separator, header in candidates}
    return DataError(
        problem(
            "separator-unclear",
            "the columns are in doubt: separated by {first!r} the header is {first_names}, and by "
            "{second!r} it is {second_names}; write `separator` in the card (`finetune cards new "
            "--separator`)",
            at=file.place(candidates[0][1].line),
            first=card_separator(candidates[0][0]),
            first_names=listed(candidates[0][1].cells),
            second=card_separator(candidates[1][0]),
            second_names=listed(candidates[1][1].cells),
            key="separator",
            choices=[card_separator(one) if one != "none" else one for one in shown],
        )
    )


def card_separator(separator: str) -> str:
    """Return a separator as a card writes it."""
    return {"\t": "tab", "": "none"}.get(separator, separator)


def _begins_quoted(file: SourceFile, stated: Stated, separator: str) -> bool:
    """Return whether a cell begins with a quotation mark."""
    return any(
        line.startswith('"') or (bool(separator) and f'{separator}"' in line)
        for _, line, _ in ended_lines(file, encoding=stated.encoding)
        if '"' in line
    )


def body(file: SourceFile, stated: Stated, shape: Shape) -> Iterator[Row]:
    """Yield the rows of a file, those above the header and the header included."""
    lines = ended_lines(file, encoding=stated.encoding)
    if shape.skipped:
        next(lines, None)
    return rows(lines, file=file, separator=shape.separator, quoted=shape.quoted)


def _read_through(
    file: SourceFile,
    stated: Stated,
    head: _Head,
    *,
    encoding: Found,
    skipped: bool,
    quoted: bool | None,
    usual: str,
) -> Shape:
    def read(quoted: bool) -> Shape:
        shape = Shape(
            encoding, head.separator, quoted, head.header, head.names, head.widths, int(skipped)
        )
        below = (row for row in body(file, stated, shape) if row.line >= shape.first_line)
        counts = count(below, widths=head.widths, separator=head.separator)
        return Shape(
            encoding,
            head.separator,
            quoted,
            head.header,
            head.names,
            head.widths,
            int(skipped),
            counts,
        )

    if quoted is not None:
        return read(quoted)
    enclosed, literal = read(True), read(False)
    return enclosed if _marks_enclose(enclosed, literal, at=file.place(), usual=usual) else literal


def _marks_enclose(enclosed: Shape, literal: Shape, *, at: Place, usual: str) -> bool:
    """Return whether quotation marks at the beginning of cells enclose them.

    The reading that leaves fewer rows unread is right. Where both read all rows, marks enclose in
    a table with commas; in one with tabs where they had to, or where the header has them too.
    DataError where a table with tabs leaves it in doubt.
    """
    quoted, plain = enclosed.counts, literal.counts
    if quoted.joined:
        return True  # refused row by row, as either may be right
    if usual != "\t":
        return plain.unfit > 0 or quoted.unfit == 0 or quoted.enclosed > 0
    if quoted.unfit != plain.unfit:
        return quoted.unfit < plain.unfit
    if quoted.needed or (
        quoted.enclosed and quoted.enclosed == quoted.commas and not quoted.bare_commas
    ):
        return True
    header = enclosed.header
    if header is not None and header.lines[0].startswith('"'):
        return True
    single = enclosed.widths.least == 1  # so the separator may be another one
    in_doubt = quoted.signs or quoted.several
    if (header is None and quoted.wholly_enclosed) or (single and in_doubt):
        raise DataError(
            problem(
                "quotes-unclear",
                "cells begin and end with quotation marks; write `quotes: quoted` in the card if "
                "they enclose them, or `quotes: literal` if they are part of the text (`finetune "
                "cards new --quotes`)",
                at=at,
                key="quotes",
                choices=["quoted", "literal"],
            )
        )
    return False
