"""Findings about the test split: records that a column names, and columns that could."""

from __future__ import annotations

from collections.abc import Iterator

from finetune.cards.check.finding import Finding
from finetune.cards.look import Look
from finetune.cards.split_columns import proposed_split
from finetune.messages import Place, problem
from finetune.sources.files import resolve_files
from finetune.spec.card import DataCard
from finetune.spec.sections.split_column import SplitColumn


def split_findings(card: DataCard, seen: Look) -> Iterator[Finding]:
    """Yield how many records a column puts into the test split, or which column could."""
    test = card.corpus.test
    if isinstance(test, SplitColumn):
        yield from _counted(test, seen)
    elif proposed := proposed_split(card, resolve_files(card, inputs={})):
        key = f"`test: {{column: {proposed.column}, value: {proposed.value}}}`"
        there = problem(
            "split-column",
            "The column {column!r} says which records are the test ({value}), and the card does "
            "not name it, so they are trained on like all others. Write {key} under `corpus`, or "
            "`test: none`.",
            at=Place(card.path, key="corpus.test"),
            column=proposed.column,
            value=proposed.value,
            key=key,
        )
        yield Finding("warning", there)


def _counted(test: SplitColumn, seen: Look) -> Iterator[Finding]:
    if seen.tested or not seen.whole:
        counted = problem(
            "test-records",
            "Records of the test, by the column {column!r}: {count} of {of}.",
            count=seen.tested,
            of=seen.records,
            column=test.column,
        )
        yield Finding("note", counted)
    elif seen.records:
        none = problem(
            "no-test-value",
            "No record has {value!r} in the column {column!r}, so nothing is tested. Correct "
            "`test`, or write `test: none`.",
            at=Place(key="corpus.test.value"),
            value=test.value,
            column=test.column,
        )
        yield Finding("error", none)
