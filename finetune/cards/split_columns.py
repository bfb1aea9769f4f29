"""Columns of tables with the split of each record."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from finetune.cards.look import ALL_UNITS
from finetune.errors import DataError
from finetune.readers.record import Record
from finetune.sources.broken_files import explained, explained_columns
from finetune.sources.files import SourceFile
from finetune.spec.card import CorpusBlock, DataCard
from finetune.spec.entry_points import load
from finetune.spec.formats import Format, find_format, reader
from finetune.spec.language_search import fold
from finetune.spec.sections.split_column import (
    OTHER_WORDS,
    TEST_WORDS,
    SplitColumn,
    plain_value,
)
from finetune.spec.values.table_keys import TABLE_KEYS

NAMES = frozenset({"split", "splits", "data split", "subset", "partition", "set", "part"})
MAX_VALUES = 12
"""Different values of a column of splits, at most."""


def proposed_split(card: DataCard, files: Sequence[SourceFile]) -> SplitColumn | None:
    """Return the column that says which records are the test, if a table has one.

    Its name and all its values are usual ones; None for a card that states its test.
    """
    form = find_format(card.corpus.format)
    if card.corpus.test is not None or not form.test_column or not files:
        return None
    with suppress(DataError):  # an error of reading, which is reported there
        for column in _columns(files[0], card.corpus, form):
            if fold(column) in NAMES and column not in card.corpus.columns.values():
                values = _values(files, card.corpus, column, form=form)
                if proposed := _split_of(column, values):
                    return proposed
    return None


def _split_of(column: str, values: Collection[str]) -> SplitColumn | None:
    tests = [value for value in values if value in TEST_WORDS]
    others = set(values) - TEST_WORDS
    if len(tests) != 1 or not others or not others <= OTHER_WORDS:
        return None
    return SplitColumn(column=column, value=tests.pop())


def _columns(file: SourceFile, corpus: CorpusBlock, form: Format) -> list[str]:
    stated = {key: getattr(corpus, key) for key in TABLE_KEYS if key in form.keys}
    names: list[str] = explained_columns(load(form.columns))(
        file, **(stated if form.found_keys else {})
    )
    return names


def _values(
    files: Sequence[SourceFile], corpus: CorpusBlock, column: str, *, form: Format
) -> set[str]:
    """Return the values of a column; DataError if it cannot be read."""
    # read as texts, whatever the card reads
    only = {"kind": "text", "columns": {"text": column}, "languages": corpus.languages[:1]}
    asked = corpus.model_copy(update=only)
    values: set[str] = set()
    for value in _texts(files, asked, form):
        values.add(value)
        if len(values) > MAX_VALUES:
            break
    return values


def _texts(files: Sequence[SourceFile], corpus: CorpusBlock, form: Format) -> Iterator[str]:
    units = explained(reader(form.name))(files, corpus=corpus)
    for unit in islice(units, ALL_UNITS):
        if isinstance(unit, Record):
            yield plain_value(unit.fields["text"])
