"""Layout of tables that fit a width: whole words in columns, or one block per row."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

BORDER = 3
"""Columns of a border and its padding, per column of a table; one more at the end."""


def column_widths(
    rows: Sequence[Sequence[str]], *, width: int, measure: Callable[[str], int] = len
) -> list[int] | None:
    """Return the widths of the columns of a table that breaks no word; None if it does not fit.

    `rows`: cells with the header first; `measure` returns the columns that a text takes. The widest
    columns are folded first.

    >>> rows = [("card", "other language"), ("kolibri-hau", "fra_Latn 12, eng_Latn 3")]
    >>> column_widths(rows, width=80), column_widths(rows, width=30), column_widths(rows, width=20)
    ([11, 23], [11, 12], None)
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(measure(line) for cell in c for line in _lines(cell)) for c in columns]
    least = [max(measure(word) for cell in c for word in cell.split() or [""]) for c in columns]
    room = width - BORDER * len(columns) - 1
    if sum(least) > room:
        return None
    while sum(widths) > room:
        at = max(range(len(widths)), key=lambda n: (widths[n] > least[n], widths[n]))
        widths[at] -= 1
    return widths


def blocks(columns: Sequence[str], rows: Sequence[Sequence[str]], *, width: int) -> str:
    """Return a table as a block per row: its first cell, and the others named below it.

    >>> print(blocks(("card", "lines"), [("kolibri", "1,200")], width=20))
    kolibri
      lines: 1,200
    """
    lines = []
    for first, *others in rows:
        lines.append(" ".join(first.split()))
        parts = [
            f"{name}: {' '.join(cell.split())}".removeprefix(": ")
            for name, cell in zip(columns[1:], others, strict=True)
            if cell.strip()
        ]
        text = "; ".join(parts)
        indent = {"initial_indent": "  ", "subsequent_indent": "  "}
        whole_words = {"break_long_words": False, "break_on_hyphens": False}
        lines += textwrap.wrap(text, max(20, width), **indent, **whole_words)  # type: ignore[arg-type]
    return "\n".join(lines)


def _lines(cell: str) -> list[str]:
    return cell.split("\n") or [""]
