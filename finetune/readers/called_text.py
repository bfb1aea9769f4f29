"""Files that are called plain text and are something else, known by their first lines."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

from finetune.readers.numbered_lines import head_lines
from finetune.readers.tabular.table_shape import are_aligned
from finetune.sources.files import SourceFile
from finetune.sources.zipped import uncompressed_name
from finetune.spec.formats import PLAIN

HEAD_LINES = 300
MAX_CHARACTERS = 2**16
"""Of a line that is looked at."""
MIN_LINES = 3
"""Rows of a table, and times of subtitles, at least."""
_TIMES = re.compile(r"(?:\d{1,2}:)?\d{1,2}:\d{2}[.,]\d{1,3}\s+-->\s")
_BETWEEN = {sign: re.compile(rf"{re.escape(sign)}(?=\S)") for sign in (";", "|", ",")}
_NUMBER = re.compile(r"\s*\d+,")


def is_separated(file: SourceFile) -> bool:
    """Return whether plain text is a table: in each line as often a semicolon or bar without space
    behind it, or a comma behind the number that begins the line; or `|||` once in most lines.
    """
    head = _head(file)
    if len(head) < MIN_LINES:
        return False
    if are_aligned(head):
        return True
    for sign, between in _BETWEEN.items():
        counts = {len(between.findall(line)) for line in head}
        numbered = sum(bool(_NUMBER.match(line)) for line in head) >= len(head) - 1
        if len(counts) == 1 and 0 not in counts and (sign != "," or numbered):
            return True
    return False


def is_json(file: SourceFile) -> bool:
    """Return whether plain text holds JSON records: an object in its first line, or an array."""
    head = _head(file)
    if not head or not head[0].lstrip().startswith(("{", "[")):
        return False
    start = "".join(head).lstrip()
    if re.match(r"\[\s*\{\s*\"", start):
        return True
    try:
        return isinstance(json.loads(head[0]), dict)
    except (RecursionError, ValueError):
        return False


def is_subtitles(file: SourceFile) -> bool:
    """Return whether plain text has the times of subtitles (SRT, WebVTT)."""
    return sum(bool(_TIMES.match(line.strip())) for line in _head(file)) >= MIN_LINES


def is_po(file: SourceFile) -> bool:
    """Return whether plain text is a gettext catalogue."""
    lines = [line for line in _head(file) if not line.startswith("#")]
    return lines[:1] != [] and lines[0].startswith(("msgid ", "msgctxt "))


def _head(file: SourceFile) -> list[str]:
    """Return the first lines of plain text that are not blank; none of another file."""
    if PurePosixPath(uncompressed_name(file.name)).suffix.lower() not in PLAIN.suffixes:
        return []
    return [line[:MAX_CHARACTERS] for line in head_lines(file, lines=HEAD_LINES)]
