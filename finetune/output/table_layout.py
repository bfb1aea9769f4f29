"""Layout of tables and texts side by side that fit a width: columns, or one block per row."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest

from finetune.output.folding import columns_of, folded

BORDER = 3
"""Columns of a border and its padding, per column of a table; one more at the end."""
NARROWEST_TEXT = 20
"""Columns below which texts do not stand side by side."""
_RIGHT_TO_LEFT = ("R", "AL")


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


def text_columns(texts: Mapping[str, str], *, width: int, border: str = "│") -> list[str]:
    """Return the lines of texts side by side, each under its name; one below another if narrow.

    A line with letters of a right-to-left script is isolated (U+2066, U+2067), so that a terminal
    that orders such text leaves the other columns where they are; in a paragraph that begins with
    such a letter it stands at the right.

    >>> print("\\n".join(text_columns({"base": "one", "adapter": "two"}, width=60, border="|")))
    base                         | adapter
    ---------------------------- | ----------------------------
    one                          | two
    """
    room = (width - BORDER * (len(texts) - 1)) // max(1, len(texts))
    if len(texts) > 1 and room < NARROWEST_TEXT:
        lines = [
            [name, *_cell_lines(text, max(NARROWEST_TEXT, width))] for name, text in texts.items()
        ]
        return [line.rstrip() for block in lines for line in block]
    cells = [_cell_lines(text, room) for text in texts.values()]
    if len(texts) > 1:
        cells = [
            [_padded(name, room), "-" * room, *c] for name, c in zip(texts, cells, strict=True)
        ]
    rows = zip_longest(*cells, fillvalue=" " * room)
    return [f" {border} ".join(row).rstrip() for row in rows]


def _cell_lines(text: str, width: int) -> list[str]:
    """Return a text as lines of one width."""
    lines = []
    for paragraph in text.split("\n"):
        kinds = [unicodedata.bidirectional(character) for character in paragraph]
        first = next((kind for kind in kinds if kind in ("L", *_RIGHT_TO_LEFT)), "L")
        turns = any(kind in (*_RIGHT_TO_LEFT, "AN") for kind in kinds)
        opener = "\u2067" if first in _RIGHT_TO_LEFT else "\u2066"
        for line in folded(paragraph, width):
            gap = " " * (width - columns_of(line))
            shown = f"{opener}{line}\u2069" if turns and line else line
            lines.append(gap + shown if first in _RIGHT_TO_LEFT else shown + gap)
    return lines


def _padded(text: str, width: int) -> str:
    line = folded(text, width)[0]
    return line + " " * (width - columns_of(line))


def _lines(cell: str) -> list[str]:
    return cell.split("\n") or [""]
