"""CSV tables for spreadsheets, with formulas escaped.

A cell that begins like a formula is computed when the file is opened, and may then run commands or
send data away (CWE-1236).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from typing import IO, Any

BYTE_ORDER_MARK = "\ufeff"
"""Without one, Excel takes UTF-8 for a Windows code page and damages every script."""
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,]*(e[+-]?[0-9]+)?", re.IGNORECASE)


def cell(value: Any) -> Any:
    """Return a value that a spreadsheet shows and never computes; numbers stay numbers.

    A text that begins like a formula gets an apostrophe before it, which spreadsheets hide or show,
    but do not count as a formula.

    >>> cell("=1+1"), cell("-5"), cell(-5), cell("ɗaya"), cell("@a")
    ("'=1+1", '-5', -5, 'ɗaya', "'@a")
    """
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def write_rows(
    stream: IO[str], header: Sequence[str], rows: Iterable[Sequence[Any]], *, delimiter: str = ","
) -> int:
    """Write a header and rows as CSV with safe cells; return the number of rows."""
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerow(list(map(cell, header)))
    count = 0
    for row in rows:
        writer.writerow(list(map(cell, row)))
        count += 1
    return count
