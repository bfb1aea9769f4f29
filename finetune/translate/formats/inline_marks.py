"""Lines of a file and the marks inside them: tags and marks of direction, which are no text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from finetune.translate.placeholders_kept import DIRECTION, TAG
from finetune.translate.skeleton import Mark, Part, segment_of

_LINE = re.compile(r"([^\r\n]*)(\r\n|\n|\r|\Z)")
MARKS: re.Pattern[str] = re.compile(f"{TAG.pattern}|{DIRECTION.pattern}")


def lines_of(text: str) -> list[tuple[str, str]]:
    r"""Return the lines of a text, each with its own end; only CR and LF end one.

    >>> lines_of("a\r\nb\u2028c")
    [('a', '\r\n'), ('b\u2028c', '')]
    """
    found = [(one[1], one[2]) for one in _LINE.finditer(text)]
    return [pair for pair in found if pair != ("", "")]


def pieces_of(text: str, *, marks: re.Pattern[str] = MARKS) -> Iterator[str | Mark]:
    """Yield the texts of a line and the marks between them."""
    at = 0
    for found in marks.finditer(text):
        if text[at : found.start()]:
            yield text[at : found.start()]
        yield Mark((found[0],))
        at = found.end()
    if text[at:]:
        yield text[at:]


def joined_lines(
    lines: Sequence[tuple[str, str]], *, label: str, marks: re.Pattern[str] = MARKS
) -> list[Part]:
    """Return lines of one sentence or paragraph as one segment; their ends stay where they fit."""
    pieces: list[str | Mark] = []
    for number, (body, end) in enumerate(lines):
        pieces += pieces_of(body, marks=marks)
        if number < len(lines) - 1:
            pieces.append(Mark((end,), is_space=True))
    return [*segment_of(pieces, label=label), lines[-1][1]] if lines else []


def each_line(text: str, *, label: str, marks: re.Pattern[str] = MARKS) -> list[Part]:
    """Return a text whose lines are segments of their own."""
    parts: list[Part] = []
    for body, end in lines_of(text):
        parts += [*segment_of(list(pieces_of(body, marks=marks)), label=label), end]
    return parts
