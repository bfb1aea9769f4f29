"""Counts over all rows of a table, by which one reading of it is preferred to another."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from finetune.readers.tabular.missing_values import marker_of, markers_in
from finetune.readers.tabular.table_rows import Row

NUMBER = re.compile(r"\s*[-+]?\d+(?:[.,:/-]\d+)*\s*")
NUMERIC_SHARE = 0.95
MAX_JOINED = 1000
MARKER_CHARACTERS = 12
"""A longer cell is no marker of a missing value."""


@dataclass(frozen=True, slots=True)
class Widths:
    """The numbers of cells that a row may have."""

    least: int
    """Up to the last column with a name."""
    most: int
    """Of the header; more cells must be empty."""

    def fit(self, row: Row) -> bool:
        """Return whether a row has a cell for each column, and text nowhere else."""
        return not row.broken and len(row.cells) >= self.least and not self._exceeds(row)

    def blank(self, row: Row) -> bool:
        """Return whether a row has no text, and no more cells than columns."""
        return row.is_blank and not self._exceeds(row)

    def _exceeds(self, row: Row) -> bool:
        """Return whether a row has more cells than columns; empty ones may follow the others."""
        more = row.cells[self.most :]
        return any(more) or (self.least == 1 and bool(more))


@dataclass(slots=True)
class Counts:
    """Counts of one reading of a table."""

    rows: int = 0
    ragged: int = 0
    """Rows with another number of cells than the header."""
    broken: int = 0
    enclosed: int = 0
    """Cells that begin and end with a quotation mark, as far as the lines show."""
    needed: int = 0
    """Those with a separator, line end or doubled mark inside."""
    commas: int = 0
    """Enclosed cells that have a comma or needed the marks otherwise: Excel encloses those."""
    signs: int = 0
    """Enclosed cells with a sign that separates columns in other tables."""
    bare_commas: int = 0
    """Cells with a comma that are not enclosed."""
    wholly_enclosed: frozenset[int] = frozenset()
    """Columns in which every filled cell is enclosed."""
    joined: list[Row] = field(default_factory=list)
    """Rows of several lines of which each could be a row (the first ones)."""
    several: int = 0
    """Rows of several lines."""
    ends: Counter[str] = field(default_factory=Counter)
    numeric: frozenset[int] = frozenset()
    """Columns of numbers."""
    markers: dict[int, frozenset[str]] = field(default_factory=dict)
    """Column -> words in it that stand for missing values."""

    @property
    def unfit(self) -> int:
        """Rows that this reading leaves unread."""
        return self.ragged + self.broken + len(self.joined)


def count(found: Iterable[Row], *, widths: Widths, separator: str) -> Counts:
    """Return the counts of the rows below the header."""
    counts, columns = Counts(), _Columns()
    several: list[Row] = []
    for row in found:
        counts.ends[row.end] += 1
        if '"' in row.lines[0] and not row.broken:
            columns.enclosed.update(_marks(row, counts, separator))
        else:
            counts.bare_commas += sum("," in cell for cell in row.cells)
        if widths.blank(row):
            continue
        counts.rows += 1
        counts.broken += bool(row.broken)
        counts.ragged += not (row.broken or widths.fit(row))
        if len(row.lines) == 1:
            columns.add(row)
        elif widths.fit(row):
            counts.several += 1
            if len(several) < MAX_JOINED and all(_could_be_row(row, widths, separator)):
                several.append(row)
        columns.cells.update(column for column, cell in enumerate(row.cells) if cell)
    columns.into(counts)
    counts.joined = [row for row in several if is_joined(row, counts.numeric, separator)]
    return counts


class _Columns:
    """Counts by column, of rows of one line."""

    def __init__(self) -> None:
        self.filled: Counter[int] = Counter()
        self.numbers: Counter[int] = Counter()
        self.words: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self.cells: Counter[int] = Counter()
        self.enclosed: Counter[int] = Counter()

    def add(self, row: Row) -> None:
        for column, cell in enumerate(row.cells):
            if not cell:
                continue
            self.filled[column] += 1
            if cell[-1].isdigit() and NUMBER.fullmatch(cell):
                self.numbers[column] += 1
            if len(cell) < MARKER_CHARACTERS and (word := marker_of(cell)):
                self.words[column][word] += 1

    def into(self, counts: Counts) -> None:
        counts.wholly_enclosed = frozenset(
            c for c in self.enclosed if self.enclosed[c] >= self.cells[c]
        )
        counts.numeric = frozenset(
            c for c in self.filled if self.numbers[c] >= NUMERIC_SHARE * self.filled[c]
        )
        for column, words in self.words.items():
            if found := markers_in(words, cells=self.filled[column]):
                counts.markers[column] = found


def is_joined(row: Row, numeric: frozenset[int], separator: str) -> bool:
    """Return whether each line of a row has a number where the table has columns of numbers."""
    return all(
        all(NUMBER.fullmatch(cell) for n, cell in enumerate(line.split(separator)) if n in numeric)
        for line in row.lines
    )


def joins_rows(row: Row, counts: Counts, *, widths: Widths, separator: str) -> bool:
    """Return whether a row is several rows that a stray quotation mark may have joined."""
    return (
        len(row.lines) > 1
        and all(_could_be_row(row, widths, separator))
        and is_joined(row, counts.numeric, separator)
    )


def _could_be_row(row: Row, widths: Widths, separator: str) -> Iterator[bool]:
    yield bool(separator) and widths.least > 1
    for line in row.lines:
        yield widths.least <= line.count(separator) + 1 <= widths.most


def _marks(row: Row, counts: Counts, separator: str) -> Iterator[int]:
    """Yield the columns whose cells stand between quotation marks, and count these cells."""
    raw = "\n".join(row.lines)
    at = 0
    for column, cell in enumerate(row.cells):
        if not raw.startswith('"', at):
            counts.bare_commas += "," in cell
            at += len(cell) + 1
            continue
        yield column
        inside = cell.replace('"', '""')
        simple = raw.startswith(f'"{inside}"', at)  # else a line end differs: it was needed then
        needed = not simple or (bool(separator) and separator in cell) or '"' in cell
        counts.enclosed += 1
        counts.needed += needed
        counts.commas += needed or "," in cell
        counts.signs += any(sign in cell for sign in ",;|")
        if not simple:
            return
        at += len(inside) + 3
