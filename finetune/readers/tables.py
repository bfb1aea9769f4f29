"""Records of tables.

Fields of a record are named by their role in the card (`text`, `hau_Latn`, `messages`,
`instruction`, ...). Any error in a file is a DataError with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

from finetune.errors import DataError
from finetune.messages import Place, problem, sentence
from finetune.readers.guards import too_much
from finetune.readers.record import Record
from finetune.readers.tabular.column_names import no_column
from finetune.spec.card import CorpusBlock

PEOPLE = ("contributor", "names")
"""Roles of columns about people."""
MAX_NAMES = 1000
"""People named in one record."""


def wanted_columns(corpus: CorpusBlock) -> dict[str, str]:
    """Return the columns to read, with the role of each; the contributor may be among the names.

    Raises DataError for a column of two texts.
    """
    columns: dict[str, str] = {}
    for role in _roles(corpus):
        column = corpus.columns[role]
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


def _roles(corpus: CorpusBlock) -> list[str]:
    """Return the roles that have a column."""
    if corpus.kind == "parallel":
        roles: tuple[str, ...] = tuple(corpus.languages)
    elif corpus.kind == "chat":
        turns = ("instruction", "input", "answer", "history")
        roles = ("system", *(("messages",) if "messages" in corpus.columns else turns))
    else:
        roles = ("text",)
    roles += PEOPLE
    return [role for role in roles if role in corpus.columns]


def record_of(
    at: Place, row: Mapping[str, Any], corpus: CorpusBlock, *, optional: Set[str] = frozenset()
) -> Record:
    """Return a row as a record, fields by role; DataError for a column that is not there.

    `optional`: roles that a row may lack.
    """
    fields = {}
    for role in _roles(corpus):
        column = corpus.columns[role]
        value: Any = row
        for part in (column,) if column in row else column.split("."):
            if not isinstance(value, Mapping) or part not in value:
                if role not in optional:
                    raise no_column(at, column, list(row))
                value = None
                break
            value = value[part]
        fields[role] = value
    contributor = fields.pop("contributor", None)
    names = _names(fields.pop("names", None))
    if len(names) > MAX_NAMES:  # each is looked for in each text
        what, instead = sentence("names in one record"), sentence("split the text")
        raise too_much(at, what=what, limit=MAX_NAMES, instead=instead)
    return Record(at, fields, None if contributor is None else str(contributor), names)


def _names(value: Any) -> tuple[str, ...]:
    """Return the names in a cell: a list, or text with semicolons or line ends between them.

    >>> _names("A. B.; C"), _names(["A", None]), _names(None)
    (('A. B.', 'C'), ('A',), ())
    """
    parts = value if isinstance(value, list) else re.split(r"[;\n]", str(value or ""))
    return tuple(name for part in parts if part and (name := str(part).strip()))
