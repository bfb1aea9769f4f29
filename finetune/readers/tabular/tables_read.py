"""Readers of tables as text: records, names of columns, and what was understood of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice, pairwise, takewhile
from typing import Any

from finetune.errors import DataError
from finetune.messages import Problem, Sentence, phrase, problem, sentence
from finetune.readers.guards import listed
from finetune.readers.reasons import ABOVE_HEADER, MALFORMED, REPEATED_HEADER
from finetune.readers.record import Rejection, Unit
from finetune.readers.tables import ABOUT, record_of, wanted_columns
from finetune.readers.tabular.column_names import has_all, resolved
from finetune.readers.tabular.missing_values import as_shown, is_yes, reason_of
from finetune.readers.tabular.other_content import refuse_other_content
from finetune.readers.tabular.table_counts import joins_rows
from finetune.readers.tabular.table_header import header_unclear, is_header, repeats_header
from finetune.readers.tabular.table_rows import Row
from finetune.readers.tabular.table_shape import (
    HEADER_ROWS,
    Shape,
    Stated,
    body,
    card_separator,
    shape_of,
)
from finetune.readers.translated.states import UNREVIEWED, admitted
from finetune.readers.translated.tags import fits_tag
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock
from finetune.spec.values.table_keys import BARS

COMMA, TAB = ",", "\t"
LANGUAGE_COLUMNS = frozenset({"lang", "language", "langue", "locale"})
LANGUAGE_ROWS = 1000
"""First rows whose language is looked at."""
FUZZY = "fuzzy"
"""Column of Weblate for translations that are to be reviewed."""


def read_csv(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Rows of tables with commas, semicolons or other signs; cells may be in quotation marks."""
    return _read(files, corpus, usual=COMMA)


def read_tsv(files: Sequence[SourceFile], *, corpus: CorpusBlock) -> Iterator[Unit]:
    """Rows of tables with tabs; quotation marks enclose a cell only where a program wrote them."""
    return _read(files, corpus, usual=TAB)


def csv_columns(file: SourceFile, **stated: Any) -> list[str]:
    """Return the names of the columns of a table with commas; DataError if they are in doubt."""
    shape = _settled(file, Stated(**stated), usual=COMMA)
    return list(shape.names) if shape else []


def tsv_columns(file: SourceFile, **stated: Any) -> list[str]:
    """Return the names of the columns of a table with tabs; DataError if they are in doubt."""
    shape = _settled(file, Stated(**stated), usual=TAB)
    return list(shape.names) if shape else []


def csv_keys(file: SourceFile, **stated: Any) -> dict[str, Any]:
    """Return the keys of a card that a table with commas needs; DataError in doubt."""
    return _keys(file, Stated(**stated), usual=COMMA)


def tsv_keys(file: SourceFile, **stated: Any) -> dict[str, Any]:
    """Return the keys of a card that a table with tabs needs; DataError in doubt."""
    return _keys(file, Stated(**stated), usual=TAB)


def csv_understood(file: SourceFile, *, corpus: CorpusBlock) -> list[tuple[Sentence, Sentence]]:
    """Return what was found out about a table with commas, with words for it."""
    return _understood(file, corpus, usual=COMMA)


def tsv_understood(file: SourceFile, *, corpus: CorpusBlock) -> list[tuple[Sentence, Sentence]]:
    """Return what was found out about a table with tabs, with words for it."""
    return _understood(file, corpus, usual=TAB)


def _understood(
    file: SourceFile, corpus: CorpusBlock, *, usual: str
) -> list[tuple[Sentence, Sentence]]:
    shape = shape_of(file, _stated(corpus), usual=usual)
    if shape is None:
        return []
    facts = [
        (sentence("encoding"), shape.encoding.about),
        (sentence("separator"), phrase(repr(card_separator(shape.separator)))),
        (sentence("header"), _header_words(shape)),
        (sentence("columns"), listed(shape.names)),
    ]
    if shape.counts.enclosed or not shape.quoted:
        words = sentence("enclose cells") if shape.quoted else sentence("part of the texts")
        facts.append((sentence("quotation marks"), words))
    if shape.counts.several and shape.quoted:
        facts.append((sentence("records of several lines"), phrase(str(shape.counts.several))))
    if corpus.kind != "parallel" and not corpus.languages[0].startswith("und_"):  # not known yet
        facts += _other_languages(file, corpus, shape)
    return facts


def _other_languages(
    file: SourceFile, corpus: CorpusBlock, shape: Shape
) -> Iterator[tuple[Sentence, Sentence]]:
    """Yield how many of the first rows state another language than the card, by such a column."""
    for column, name in enumerate(shape.names):
        if name.casefold() not in LANGUAGE_COLUMNS:
            continue
        found = (row for row in body(file, _stated(corpus), shape) if row.line >= shape.first_line)
        fitting = filter(shape.widths.fit, islice(found, LANGUAGE_ROWS))
        tags = Counter(row.cells[column].strip() for row in fitting)
        others = [
            f"{tag} ({count})"
            for tag, count in tags.most_common()
            if fits_tag(corpus.languages[0], tag) is False
        ]
        if others:
            yield sentence("other languages in the column {name!r}", name=name), listed(others)


def _header_words(shape: Shape) -> Sentence:
    if shape.header is None:
        return sentence("none; the columns are numbered")
    return sentence("line {line:d}", line=shape.header.line)


def _stated(corpus: CorpusBlock) -> Stated:
    return Stated(
        corpus.encoding,
        corpus.separator,
        corpus.header,
        corpus.quotes,
        tuple(wanted_columns(corpus)),
    )


def _settled(file: SourceFile, stated: Stated, *, usual: str) -> Shape | None:
    """Return the shape of a table; DataError if it is in doubt whether it has a header."""
    refuse_other_content(file)
    shape = shape_of(file, stated, usual=usual)
    if shape is None or shape.header is None or stated.header:
        return shape
    if stated.wanted and has_all(stated.wanted, shape.names):
        return shape
    below = (row for row in body(file, stated, shape) if row.line >= shape.first_line)
    rows = [row for row in islice(below, HEADER_ROWS) if not row.is_blank]
    names = False if shape.separator == BARS else is_header(shape.header, rows)
    if names is None:
        raise header_unclear(shape.header, file.place(shape.header.line))
    if names:
        return shape
    separator = card_separator(shape.separator)
    return shape_of(file, replace(stated, header="none", separator=separator), usual=usual)


def _keys(file: SourceFile, stated: Stated, *, usual: str) -> dict[str, Any]:
    if all(name.isdecimal() for name in stated.wanted):  # numbers of columns, or years
        stated = replace(stated, wanted=())
    shape = _settled(file, stated, usual=usual)
    if shape is None:
        return {}
    keys: dict[str, Any] = {}
    if shape.encoding.key != "utf-8":
        keys["encoding"] = shape.encoding.key
    if shape.separator != usual:
        keys["separator"] = card_separator(shape.separator)
    if shape.header is None:
        keys["header"] = "none"
    elif _is_doubtful(shape.header, file, stated, shape, usual=usual):
        keys["header"] = shape.header.line
    if stated.quotes or (shape.counts.enclosed and shape.quoted != (usual == COMMA)):
        keys["quotes"] = "quoted" if shape.quoted else "literal"
    return keys


def _is_doubtful(
    header: Row, file: SourceFile, stated: Stated, shape: Shape, *, usual: str
) -> bool:
    """Return whether a header is not the first row, or known only by names that a person gave."""
    first = next(row.line for row in body(file, stated, shape) if not row.is_blank)
    if first < header.line or not stated.wanted:
        return first < header.line
    try:
        found = _settled(file, replace(stated, wanted=()), usual=usual)
    except DataError:
        return True
    return found is None or found.header is None or found.header.line != header.line


def _read(files: Sequence[SourceFile], corpus: CorpusBlock, *, usual: str) -> Iterator[Unit]:
    stated = _stated(corpus)
    for file in files:
        refuse_other_content(file)
        shape = shape_of(file, stated, usual=usual)
        if shape is not None:
            yield from _Units(file, corpus, stated, shape).read()


class _Units:
    """The text units of one table."""

    def __init__(self, file: SourceFile, corpus: CorpusBlock, stated: Stated, shape: Shape) -> None:
        self.file, self.corpus, self.stated, self.shape = file, corpus, stated, shape
        at = file.place(None if shape.header is None else shape.header.line)
        self.places = resolved(stated.wanted, shape.names, at=at)
        roles = wanted_columns(corpus)
        asks = corpus.kind == "parallel" and not admitted(UNREVIEWED, corpus.admit)
        self.fuzzy = shape.names.index(FUZZY) if asks and FUZZY in shape.names else None
        self.texts = [self.places[name] for name in self.places if roles[name] not in ABOUT]

    def read(self) -> Iterator[Unit]:
        """Yield them in order."""
        yield from self._above_header()
        below = (row for row in body(self.file, self.stated, self.shape) if self._is_below(row))
        for row, torn in self._with_torn(below):
            if torn and not self.shape.widths.blank(row):
                why = problem(
                    "stray-line-end",
                    "the file has CR and LF as line ends, and one of them may be part of a text "
                    "here; put texts with line ends in quotation marks",
                    at=self.file.place(row.line),
                )
                yield self._malformed(row, why)
            else:
                yield from self._row(row)

    def _is_below(self, row: Row) -> bool:
        return row.line >= self.shape.first_line

    def _above_header(self) -> Iterator[Unit]:
        if self.shape.header is None:
            return
        for row in takewhile(
            lambda row: not self._is_below(row), body(self.file, self.stated, self.shape)
        ):
            if not row.is_blank and row.line != self.shape.header.line:
                yield Rejection(self.file.place(row.line), ABOVE_HEADER, self._cut(row))

    def _with_torn(self, found: Iterable[Row]) -> Iterator[tuple[Row, bool]]:
        """Yield rows, and whether each may be torn by a line end that belongs to a text.

        In a file with LF and CR this is every row beside one of another width, and every row where
        no header shows the width.
        """
        ends = self.shape.counts.ends + Counter(row.end for row in [self.shape.header] if row)
        if not (ends["\r"] and ends["\n"] + ends["\r\n"]):
            yield from ((row, False) for row in found)
            return
        fit = self.shape.widths.fit
        known = self.shape.header is not None and self.shape.widths.least > 1
        before = True
        for row, after in pairwise(chain(found, [None])):
            here = row is not None and fit(row)
            if row is not None:
                yield row, not (known and before and here and (after is None or fit(after)))
            before = here

    def _row(self, row: Row) -> Iterator[Unit]:
        shape, at = self.shape, self.file.place(row.line)
        if shape.widths.blank(row):
            return
        if row.broken:
            yield self._malformed(
                row,
                problem("bad-quotes", "{why}; check the quotation marks", at=at, why=row.broken),
            )
        elif not shape.widths.fit(row):
            yield self._malformed(
                row,
                problem(
                    "wrong-number-of-fields",
                    "the number of fields is {fields}, but that of the header {columns}; quote "
                    "a field that contains the separator",
                    at=at,
                    fields=len(row.cells),
                    columns=shape.widths.most,
                ),
            )
        elif self.stated.quotes is None and joins_rows(
            row, shape.counts, widths=shape.widths, separator=shape.separator
        ):
            yield from self._joined(row)
        else:
            yield self._unit(row)

    def _joined(self, row: Row) -> Iterator[Unit]:
        for number, line in enumerate(row.lines, start=row.line):
            at = self.file.place(number)
            why = problem(
                "joined-rows",
                "the lines {first:d} to {last:d} are one cell between quotation marks, but each "
                "of them could be a row; correct the quotation marks, or write `quotes: quoted` "
                "or `quotes: literal` in the card",
                at=at,
                first=row.line,
                last=row.line + len(row.lines) - 1,
            )
            yield Rejection(at, MALFORMED, line, why)

    def _unit(self, row: Row) -> Unit:
        at = self.file.place(row.line)
        cells = row.cells
        if self.shape.header is not None and repeats_header(cells, self.shape.names):
            return Rejection(at, REPEATED_HEADER, self._cut(row))
        markers = self.shape.counts.markers
        for column in self.texts:
            if reason := reason_of(cells[column], markers.get(column, frozenset())):
                return Rejection(at, reason, self._cut(row))
        if self.fuzzy is not None and is_yes(cells[self.fuzzy]):
            return Rejection(at, UNREVIEWED, self._cut(row))
        values = {name: as_shown(cells[place]) for name, place in self.places.items()}
        try:
            return record_of(at, values, self.corpus)
        except DataError as error:
            [first, *_] = error.problems
            return self._malformed(row, first)

    def _malformed(self, row: Row, why: Problem) -> Rejection:
        return Rejection(self.file.place(row.line), MALFORMED, self._cut(row), why)

    def _cut(self, row: Row) -> str:
        return "\n".join(row.lines)
