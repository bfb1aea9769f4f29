"""Columns that hold a list, of which the first value is read: `answers[0]`.

Data sets of questions list several right answers. In some the list is written as a text, in the
notation of JSON or of Python (`"['Lagos']"`).
"""

from __future__ import annotations

import ast
import json
from typing import Any

from finetune.errors import DataError
from finetune.messages import Place, problem

FIRST = "[0]"
"""End of the name of such a column."""
MOST_CHARACTERS = 100_000


def first_of(value: Any, *, column: str, at: Place) -> Any:
    """Return the first value of a list, None of an empty one or where there is none.

    Raises DataError for anything else.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    found = _list(value) if isinstance(value, str) else value
    if not isinstance(found, list):
        raise DataError(
            problem(
                "no-list",
                "the column {column!r} takes the first value of a list, and holds none here; "
                "correct it, or name the column without {first}",
                at=at,
                column=column,
                first=FIRST,
            )
        )
    return found[0] if found else None


def _list(text: str) -> Any:
    """Return the list that a text holds, or None."""
    shown = text.strip()
    if len(shown) > MOST_CHARACTERS or not (shown.startswith("[") and shown.endswith("]")):
        return None
    for parsed in (json.loads, ast.literal_eval):  # of constants; no code is run
        try:
            return parsed(shown)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return None
