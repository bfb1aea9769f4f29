"""Findings about lines of plain text that hold more than text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from finetune.cards.check.finding import Finding
from finetune.messages import Place, Problem, Sentence, phrase, problem, sentence
from finetune.readers.plain.line_shapes import PATTERNS, LineShape, line_shape
from finetune.sources.files import SourceFile
from finetune.spec.card import DataCard
from finetune.text.shown import shown

PREFIXES: Mapping[str, Sentence] = {
    "numbers": sentence("a number"),
    "references": sentence("a reference or time"),
    "times": sentence("a time"),
}


def line_findings(card: DataCard, files: Sequence[SourceFile]) -> Iterator[Finding]:
    """Yield what most lines of each file of plain text have beside their text."""
    for file in files:
        if shape := line_shape(file, encoding=card.corpus.encoding):
            yield Finding("warning", _problem(shape, file.place(shape.line)))


def _problem(shape: LineShape, at: Place) -> Problem:
    facts: dict[str, Any] = {
        "at": at,
        "count": shape.count,
        "of": shape.of,
        "sample": phrase(shown(shape.example, names=shape.names)),
    }
    if shape.kind == "speakers":
        return problem(
            "lines-with-speakers",
            "{count} of the first {of} lines begin with one of {names:d} names and a colon, which "
            "are trained on like the texts. If these are speakers, write `format: transcript` and "
            "`personal_names` in the card: each turn is read without its name, and the names are "
            "masked. Example: {sample}",
            names=len(shape.names),
            **facts,
        )
    if shape.kind == "words":
        return problem(
            "lines-of-one-word",
            "{count} of the first {of} lines hold a single word, and a model learns no sentences "
            "from them. If it is a vertical corpus (VRT), write each sentence on a line of its "
            "own. Example: {sample}",
            **facts,
        )
    return problem(
        "lines-with-prefix",
        "{count} of the first {of} lines begin with {what}, which is trained on like the texts. In "
        "an editor, replace the regular expression {pattern} by nothing, then run `finetune cards "
        "update`. Example: {sample}",
        what=PREFIXES[shape.kind],
        pattern=phrase(f"`{PATTERNS[shape.kind]}`"),
        **facts,
    )
