"""Names of columns: found as people write them, in any spelling that leaves no doubt."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.readers.guards import listed

_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


def plain_name(name: str) -> str:
    """Return a name in NFC, without spaces around it and characters that cannot be seen.

    >>> plain_name("\\ufeffYoru\\u0300ba\\u0301\\u00a0")
    'Yor\xf9b\xe1'
    """
    return " ".join(unicodedata.normalize("NFC", _UNSEEN.sub("", name)).split())


_STEPS: tuple[Callable[[str], str], ...] = (
    str,
    plain_name,
    lambda name: plain_name(name).casefold(),
)


def positions(wanted: str, there: Sequence[str]) -> list[int]:
    """Return where a column stands: by its exact name, else its plain one, else without case.

    >>> positions("text", ["Text ", "id"]), positions("a", ["a", "A", "a"])
    ([0], [0, 2])
    """
    for step in _STEPS:
        if found := [n for n, name in enumerate(there) if step(name) == step(wanted)]:
            return found
    return []


def has_all(wanted: Iterable[str], there: Sequence[str]) -> bool:
    """Return whether every wanted column is there, once or more."""
    return all(positions(name, there) for name in wanted)


def resolved(wanted: Iterable[str], there: Sequence[str], *, at: Place) -> dict[str, int]:
    """Return wanted column -> its position. DataError for one that is missing or there twice."""
    problems, found = [], {}
    for name in wanted:
        at_all = positions(name, there)
        if len(at_all) == 1:
            found[name] = at_all[0]
        elif at_all:
            problems.append(
                problem(
                    "column-twice",
                    "the column {column!r} is there {count} times, as columns {places}; give each "
                    "a name of its own in the file",
                    at=at,
                    column=name,
                    count=len(at_all),
                    places=[str(one + 1) for one in at_all],
                )
            )
        else:
            problems.append(no_column(at, name, there).problems[0])
    if problems:
        raise DataError(*problems)
    return found


def no_column(at: Place, column: str, there: Sequence[str]) -> DataError:
    """Return the error for a column that a file lacks."""
    return DataError(
        problem(
            "no-column",
            "has no column {column!r}; its columns: {columns}; correct `columns` in the card",
            at=at,
            column=column,
            columns=listed(there),
        )
    )
