"""Plain text that is a table: every line has the same number of tabs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import PurePosixPath

from finetune.errors import DataError
from finetune.messages import Problem, problem
from finetune.readers.numbered_lines import head_lines, numbered_lines
from finetune.sources.files import SourceFile
from finetune.sources.zipped import uncompressed_name
from finetune.spec.formats import PLAIN
from finetune.spec.values.table_keys import Encoding

HEAD_LINES = 1000
MIN_LINES = 3
MIN_NUMBERED = 0.8
"""Share of lines that begin with a number, or a time, and a tab."""
_NUMBERED = re.compile(r"\s*\d+(?::\d\d)*\t")


def is_text_table(file: SourceFile) -> bool:
    """Return whether a file is called plain text and is a table with tabs."""
    called_text = PurePosixPath(uncompressed_name(file.name)).suffix.lower() in PLAIN.suffixes
    return called_text and _tabs(head_lines(file, lines=HEAD_LINES)) > 0


def refuse_text_table(file: SourceFile, *, encoding: Encoding) -> None:
    """Raise DataError for plain text that is a table: numbers and codes are no text."""
    lines = (line for _, line in numbered_lines(file, encoding=encoding) if line.strip())
    if tabs := _tabs(list(islice(lines, HEAD_LINES))):
        raise DataError(
            problem(
                "text-is-a-table",
                "every line has tabs ({tabs:d}), so it is a table (columns: {columns:d}); write "
                "`format: tsv`, `header: none`, and the number of the column in `columns`, e.g. "
                "{example} (`finetune cards new --format tsv`)",
                at=file.place(1),
                tabs=tabs,
                columns=tabs + 1,
                example="{text: '" + str(tabs + 1) + "'}",
            )
        )
    if ragged := _ragged(file, encoding):
        raise DataError(ragged)


def _ragged(file: SourceFile, encoding: Encoding) -> Problem | None:
    """Return the problem of numbered or timed lines with a tab that have unlike numbers of tabs."""
    lines = ((n, line) for n, line in numbered_lines(file, encoding=encoding) if line.strip())
    head = list(islice(lines, HEAD_LINES))
    numbered = sum(bool(_NUMBERED.match(line)) for _, line in head)
    if len(head) < MIN_LINES or numbered < MIN_NUMBERED * len(head):
        return None
    (first, line), *others = head
    tabs = line.count("\t")
    other, differs = next((n, one) for n, one in others if one.count("\t") != tabs)
    return problem(
        "text-is-a-ragged-table",
        "the lines begin with a number or a time and a tab as the rows of a table do, but the "
        "number of tabs is {tabs:d} in line {first:d} and {differs:d} in line {other:d}; make "
        "the rows alike and write `format: tsv`, or remove what is no text",
        at=file.place(other),
        first=first,
        tabs=tabs,
        other=other,
        differs=differs.count("\t"),
    )


def _tabs(head: Sequence[str]) -> int:
    """Return the number of tabs of every one of the first lines; 0 if it differs, or for few.

    Tabs only at the beginning of lines are indents.
    """
    counts = {line.count("\t") for line in head}
    if len(head) < MIN_LINES or len(counts) != 1:
        return 0
    filled = sum(bool(line.partition("\t")[0].strip()) for line in head)
    return counts.pop() if 2 * filled > len(head) else 0
