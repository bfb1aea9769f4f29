"""The verb results: one table of what a chain or a job array achieved."""

from __future__ import annotations

import csv
from argparse import Namespace
from dataclasses import fields

from finetune.cluster.chain import find_chain
from finetune.cluster.results import Result, results_of
from finetune.cluster.status import look
from finetune.log import Console

COLUMNS = (
    "combination",
    "language",
    "validation\nbits/byte",
    "test bits/byte\nbase -> adapter",
    "p",
    "chrF++\nbase -> adapter",
    "p",
    "state",
)


def results(options: Namespace, console: Console) -> int:
    """Show one row for each combination and language, finished or not."""
    report = look(find_chain(options.store.resolve(), options.chain))
    rows = results_of(report)
    if options.csv:
        writer = csv.DictWriter(console.out, [f.name for f in fields(Result)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.facts() for row in rows)
        return 0
    if console.json_lines:
        for row in rows:
            console.say(f"{row.combination}: {row.state}", chain=report.chain.id, **row.facts())
        return 0
    console.table(report.headline, COLUMNS, [_cells(row) for row in rows])
    if any(row.best_on_validation for row in rows):
        console.say("* lowest on validation; compare on that, and claim what stands under test")
    return 0


def _cells(row: Result) -> tuple[str, ...]:
    validation = _number(row.validation_bits_per_byte, places=3)
    return (
        row.combination,
        row.language or "",
        f"{validation} *" if row.best_on_validation else validation,
        _arrow(row.base_bits_per_byte, row.adapter_bits_per_byte, places=3),
        _probability(row.p_value),
        _arrow(row.base_chrf, row.adapter_chrf, places=1),
        _probability(row.chrf_p_value),
        row.state,
    )


def _number(value: float | None, *, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"


def _arrow(base: float | None, adapter: float | None, *, places: int) -> str:
    if base is None or adapter is None:
        return ""
    return f"{base:.{places}f} -> {adapter:.{places}f}"


def _probability(value: float | None) -> str:
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
