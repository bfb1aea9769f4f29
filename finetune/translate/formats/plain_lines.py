"""Plain text: a segment per line, or per paragraph between blank lines."""

from __future__ import annotations

from itertools import groupby

from finetune.translate.formats.cut import Cut
from finetune.translate.formats.inline_marks import joined_lines, lines_of
from finetune.translate.skeleton import Part


def cut_text(text: str, cut: Cut) -> list[Part]:
    """Return the lines of a text; with `cut.paragraphs` the lines between blank lines are one."""
    numbered = list(enumerate(lines_of(text), start=1))
    parts: list[Part] = []
    for is_blank, group in groupby(numbered, key=lambda one: not one[1][0].strip()):
        lines = list(group)
        if is_blank:
            parts += ["".join(line) for _, line in lines]
        elif cut.paragraphs:
            parts += joined_lines([line for _, line in lines], label=str(lines[0][0]))
        else:
            for number, line in lines:
                parts += joined_lines([line], label=str(number))
    return parts
