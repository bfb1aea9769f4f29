"""Sentences folded at words to the width of a terminal, which would break them anywhere."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from typing import IO

NARROWEST = 20
"""Columns of a terminal below which nothing is folded."""
_PIECE = re.compile(r"`[^`\n]*`[^ \t\n]*|[^ \t\n]+")
"""Kept on one line: a word with the signs at a no-break space, or a command in backquotes."""
_COMMAND = re.compile(r"(?<=[:\u00a0 ] )(?:finetune|pip|python\S*) (?:(?!\.\s)[^;])+$")
"""A command at the end of a sentence: it stays on one line of its own, to be copied."""


def width_of(out: IO[str]) -> int | None:
    """Return the columns of a terminal; None for a file or pipe, which has no width."""
    if not out.isatty():
        return None
    try:
        stated = int(os.environ.get("COLUMNS", ""))
        return stated if stated > 0 else os.get_terminal_size(out.fileno()).columns
    except (ValueError, OSError):
        return shutil.get_terminal_size().columns


def wrapped(text: str, width: int | None) -> str:
    """Return text with each line folded at words; what follows is indented like a choice's words.

    Words that are too long stay whole, as do commands; `width`: None for none.

    >>> print(wrapped("  1  cc0-1.0 (everyone may do anything)", 28))
      1  cc0-1.0 (everyone may
         do anything)
    """
    if width is None or width < NARROWEST:
        return text
    return "\n".join(_folded(line, width) for line in text.split("\n"))


def columns_of(text: str) -> int:
    """Return the columns that a text takes: two for wide letters, none for marks."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _folded(line: str, width: int) -> str:
    if columns_of(line) <= width:
        return line
    indent = len(line) - len(line.lstrip(" "))
    numbered = re.match(r" *\d+  ", line)
    below = " " * (numbered.end() if numbered else indent)
    command = _COMMAND.search(line)
    text = line[: command.start()] if command else line
    pieces = _PIECE.findall(text)
    lines = [" " * indent]
    for at, piece in enumerate(pieces):
        gap = "" if lines[-1].strip() == "" else ("  " if numbered and at == 1 else " ")
        if gap and columns_of(lines[-1]) + len(gap) + columns_of(piece) > width:
            lines.append(below + piece)
        else:
            lines[-1] += gap + piece
    if command:
        lines.append(f"{below}  {command[0]}")
    return "\n".join(lines)
