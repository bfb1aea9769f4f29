"""Rows of a table as text, with the lines that each comes from. A broken row ends no file."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from finetune.errors import DataError
from finetune.messages import Sentence, sentence
from finetune.readers.guards import too_much
from finetune.readers.numbered_lines import MAX_LINE_BYTES
from finetune.sources.files import SourceFile

MAX_RECORD_LINES = 100_000
"""Lines of one record of a table, between quotation marks."""
MAX_CELL_CHARACTERS = MAX_LINE_BYTES
LINES_AFTER_BROKEN = 200
"""The same after a mark that was never closed: else each later row is read to the end of the file,
and the time grows with the square of its lines."""

FAULTS = {
    "unexpected end of data": sentence("a quotation mark opens a cell and none closes it"),
    "expected after": sentence("a closing quotation mark is not followed by the separator"),
    "field larger than": sentence("a cell is too long"),
}
"""Part of a message of Python's parser -> the same in words that are translated."""
OTHER_FAULT = sentence("the quotation marks do not fit")
NO_SEPARATOR = "\ufdd0"
"""A noncharacter, which no text has."""
Line = tuple[int, str, str]
"""Number, text, line end."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table."""

    line: int
    """Number of its first line."""
    lines: tuple[str, ...]
    """Its lines, without their ends."""
    cells: list[str]
    end: str = "\n"
    """The end of its last line."""
    broken: Sentence | None = None
    """Fault of its quotation marks, if they have one; then it has no cells."""

    @property
    def is_blank(self) -> bool:
        """Return whether it has no text."""
        return not self.broken and not any(cell and not cell.isspace() for cell in self.cells)


def rows(lines: Iterable[Line], *, file: SourceFile, separator: str, quoted: bool) -> Iterator[Row]:
    """Yield the rows of a table; `separator`: empty for a single column.

    `quoted`: quotation marks enclose cells, except with a separator of several signs. A row whose
    marks do not fit is broken, and the next one begins at the next line. Raises DataError for a row
    of too many lines or characters.
    """
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    source = iter(lines)
    waiting: deque[Line] = deque()
    max_lines = MAX_RECORD_LINES
    while True:
        if not waiting:
            first = next(source, None)
            if first is None:
                return
            waiting.append(first)
        number, text, end = waiting[0]
        if not (quoted and '"' in text) or len(separator) > 1:
            waiting.popleft()
            cells = text.split(separator) if separator else [text]
            if len(separator) > 1:  # of aligned sentences, with spaces around it
                cells = [cell.strip(" ") for cell in cells]
            if '""' in cells:  # an empty cell of a program, whatever the marks are otherwise
                cells = ["" if cell == '""' else cell for cell in cells]
            yield Row(number, (text,), cells, end)
            continue
        following = _Following(file, source, waiting, max_lines)
        try:
            cells = next(csv.reader(following, delimiter=separator or NO_SEPARATOR, strict=True))
        except csv.Error as error:
            waiting.popleft()
            if following.taken > LINES_AFTER_BROKEN:
                max_lines = LINES_AFTER_BROKEN
            yield Row(number, (text,), [], end, broken=_fault(error))
            continue
        used = [waiting.popleft() for _ in range(following.taken)]
        yield Row(number, tuple(line for _, line, _ in used), cells, used[-1][2])


def _fault(error: csv.Error) -> Sentence:
    """Return what the parser found wrong with a row."""
    return next((said for part, said in FAULTS.items() if part in str(error)), OTHER_FAULT)


class _Following:
    """Lines of one row: those that wait, then those of the file, which then wait as well."""

    def __init__(
        self, file: SourceFile, source: Iterator[Line], waiting: deque[Line], max_lines: int
    ) -> None:
        self.file, self.source, self.waiting = file, source, waiting
        self.max_lines = max_lines
        self.taken = 0

    def __iter__(self) -> Iterator[str]:
        characters = 0
        for line in chain(islice(self.waiting, len(self.waiting)), self._more()):
            if self.taken == LINES_AFTER_BROKEN == self.max_lines:
                return  # as at the end of the file: the mark is taken for one that is not closed
            self.taken += 1
            characters += len(line[1])
            if characters > MAX_LINE_BYTES or self.taken > MAX_RECORD_LINES:
                raise self._too_long()
            yield line[1] + (line[2] or "\n")

    def _more(self) -> Iterator[Line]:
        for line in self.source:
            self.waiting.append(line)
            yield line

    def _too_long(self) -> DataError:
        return too_much(
            self.file.place(self.waiting[0][0]),
            what=sentence("characters in one record, or {lines} lines", lines=MAX_RECORD_LINES),
            limit=MAX_LINE_BYTES,
            instead=sentence("check the quotation marks"),
        )
