"""Texts folded at words to a width of a terminal, which would break them anywhere."""

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
_VIRAMA = 9
"""Combining class of the sign that joins two consonants."""
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


def graphemes(text: str) -> list[str]:
    """Return the pieces of a text that a reader takes for one sign, or a little more.

    A letter with its marks, an Indic conjunct, an emoji of several characters, a flag. Where rules
    differ between versions of Unicode, a piece is rather too long.

    >>> graphemes("e\u0301क्षé")
    ['e\u0301', 'क्ष', 'é']
    """
    pieces: list[str] = []
    for character in text:
        if pieces and pieces[-1] and _continues(pieces[-1], character):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def settled(text: str) -> str:
    """Return the part of a growing text that what follows cannot change.

    Its last sign may get another mark, and the end may be some bytes of a character (U+FFFD).

    >>> settled("Ina kwana"), settled("ab\ufffd"), settled("")
    ('Ina kwan', 'a', '')
    """
    return "".join(graphemes(text.rstrip("\ufffd"))[:-1])


def folded(text: str, width: int) -> list[str]:
    """Return the lines of a text folded at words to a width of 2 columns or more.

    Longer words are broken between signs.

    >>> folded("one twothree", 5)
    ['one', 'twoth', 'ree']
    """
    return [line for paragraph in text.split("\n") for line in _paragraph(paragraph, width)]


def _paragraph(text: str, width: int) -> list[str]:
    lines, used = [""], 0
    for piece in re.findall(r"\s+|\S+", text.expandtabs(4)):
        columns = columns_of(piece)
        if used + columns <= width:
            lines[-1] += piece
            used += columns
        elif piece.isspace():
            lines.append("")
            used = 0
        else:
            if lines[-1].strip():
                lines.append("")
                used = 0
            for sign in graphemes(piece):
                if used + columns_of(sign) > width:
                    lines.append("")
                    used = 0
                lines[-1] += sign
                used += columns_of(sign)
    return [line.rstrip() for line in lines]


def _continues(piece: str, character: str) -> bool:
    """Return whether a character belongs to the sign before it."""
    if unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf"):
        return True
    last = piece[-1]
    if last == "\u200d" or "\U0001f3fb" <= character <= "\U0001f3ff":
        return True
    if unicodedata.combining(last) == _VIRAMA:
        return unicodedata.category(character) == "Lo"
    if _is_jamo(character) and (_is_jamo(last) or "\uac00" <= last <= "\ud7a3"):
        return True
    return len(piece) == 1 and all("\U0001f1e6" <= one <= "\U0001f1ff" for one in (last, character))


def _is_jamo(character: str) -> bool:
    return "\u1100" <= character <= "\u11ff"


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
