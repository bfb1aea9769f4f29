"""Records of tables.

Fields of a record are named by their role in the card (`text`, `hau_Latn`, `messages`,
`instruction`, ...). Any error in a file is a DataError with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from difflib import get_close_matches
from typing import Any

from finetune.errors import DataError
from finetune.messages import Place, Problem, phrase, problem, sentence
from finetune.readers.first_of_list import FIRST, first_of
from finetune.readers.guards import too_much
from finetune.readers.reasons import MALFORMED
from finetune.readers.record import Record, Rejection, Unit
from finetune.readers.tabular.column_names import no_column
from finetune.spec.card import CorpusBlock
from finetune.spec.sections.split_column import OTHER_WORDS, SplitColumn, plain_value

PEOPLE = ("contributor", "names")
"""Roles of columns about people."""
DOCUMENT_ROLE = "document"
"""Role of the column that names the document of each record."""
SPLIT_ROLE = "split"
ABOUT = (*PEOPLE, DOCUMENT_ROLE, SPLIT_ROLE)
"""Roles of columns that hold no texts."""
MAX_NAMES = 1000
"""People named in one record."""


def wanted_columns(corpus: CorpusBlock) -> dict[str, str]:
    """Return the columns to read, with the role of each; the contributor may be among the names.

    Raises DataError for a column of two texts.
    """
    columns: dict[str, str] = {}
    for role, column in _roles(corpus):
        first = columns.setdefault(column, role)
        if first != role and (first, role) != PEOPLE:
            raise DataError(
                problem(
                    "column-of-two-roles",
                    "the column {column!r} is given as {first} and as {second}; name another one "
                    "for one of them",
                    at=Place(key="corpus.columns"),
                    column=column,
                    first=first,
                    second=role,
                )
            )
    return columns


def _roles(corpus: CorpusBlock) -> list[tuple[str, str]]:
    """Return the roles that have a column, with the column."""
    if corpus.kind == "parallel":
        roles: tuple[str, ...] = tuple(corpus.languages)
    elif corpus.kind == "chat":
        turns = ("instruction", "input", "answer", "history")
        roles = ("system", *(("messages",) if "messages" in corpus.columns else turns))
    else:
        roles = ("text",)
    roles += (*PEOPLE, DOCUMENT_ROLE)
    columns = [(role, corpus.columns[role]) for role in roles if role in corpus.columns]
    test = corpus.test
    return [*columns, *([(SPLIT_ROLE, test.column)] if isinstance(test, SplitColumn) else [])]


def record_of(
    at: Place,
    row: Mapping[str, Any],
    corpus: CorpusBlock,
    *,
    optional: Set[str] = frozenset(),
    part_of: str = "",
) -> Unit:
    """Return a row as a record, fields by role; DataError for a column that is not there.

    A row that does not say whether it is one of the test is malformed. `optional`: roles that a row
    may lack. `part_of`: name of its document, unless a column names it.
    """
    fields = {}
    for role, column in _roles(corpus):
        value: Any = row
        path = column if column in row else column.removesuffix(FIRST)
        for part in (path,) if path in row else path.split("."):
            if not isinstance(value, Mapping) or part not in value:
                if role not in optional:
                    raise no_column(at, column, list(row))
                value = None
                break
            value = value[part]
        fields[role] = value if path == column else first_of(value, column=column, at=at)
    contributor = fields.pop("contributor", None)
    names = _names(fields.pop("names", None))
    if len(names) > MAX_NAMES:  # each is looked for in each text
        what, instead = sentence("names in one record"), sentence("split the text")
        raise too_much(at, what=what, limit=MAX_NAMES, instead=instead)
    document = fields.pop(DOCUMENT_ROLE, None)
    tested = None
    if isinstance(corpus.test, SplitColumn):
        value = fields.pop(SPLIT_ROLE)
        tested = corpus.test.is_test(value)
        if tested is None:
            text = "\n".join(str(one) for one in fields.values() if isinstance(one, str))
            return Rejection(at, MALFORMED, text, _no_split(at, corpus.test, value))
    whose = None if contributor is None else str(contributor)
    part_of = part_of if document is None else str(document)
    return Record(at, fields, whose, names, tested, part_of=part_of)


def _no_split(at: Place, split: SplitColumn, value: Any) -> Problem:
    """Return the problem of a value that does not say whether a record is one of the test.

    A value that is no word is not quoted: the column may be one of names.
    """
    said = plain_value(value)
    known = [split.value, *(split.others or sorted(OTHER_WORDS))]
    near = get_close_matches(said, [plain_value(one) for one in known], n=1)
    quoted = phrase(repr(said)) if near or said.isdecimal() else sentence("another value")
    return problem(
        "unknown-split",
        "the column {column!r} holds {value}, which is none of {known}; correct it, or write all "
        "values of records that are not the test under `others`",
        at=at,
        column=split.column,
        value=sentence("nothing") if value is None or not said else quoted,
        known=known,
        key="test.others",
    )


def _names(value: Any) -> tuple[str, ...]:
    """Return the names in a cell: a list, or text with semicolons or line ends between them.

    >>> _names("A. B.; C"), _names(["A", None]), _names(None)
    (('A. B.', 'C'), ('A',), ())
    """
    parts = value if isinstance(value, list) else re.split(r"[;\n]", str(value or ""))
    return tuple(name for part in parts if part and (name := str(part).strip()))
