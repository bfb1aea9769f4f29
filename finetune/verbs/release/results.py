"""`finetune results`: one table of what a chain or a job array achieved."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import fields

from finetune.cluster.chain.chain import find_chain
from finetune.cluster.follow.results import OverSeeds, Result, over_seeds, results_of
from finetune.cluster.follow.status import look
from finetune.output.console import Console
from finetune.output.spreadsheet import write_rows
from finetune.verbs.options import add_chain

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
SEEDS = (
    "combination",
    "language",
    "seeds",
    "validation\nbits/byte",
    "test bits/byte\nbase -> adapter",
    "chrF++\nadapter",
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_chain(parser)
    parser.add_argument("--csv", action="store_true", help="as CSV, for a spreadsheet")


def run(options: Namespace, console: Console) -> int:
    """Show one row for each combination and language, finished or not."""
    report = look(find_chain(options.store.resolve(), options.chain))
    rows = results_of(report)
    if options.csv:
        keys = list(dict.fromkeys(key for row in rows for key in row.settings))
        names = [f.name for f in fields(Result) if f.name != "settings"]
        facts = (row.facts() | dict(row.settings) for row in rows)
        header = [*keys, *names]
        write_rows(console.out, header, ([fact.get(key) for key in header] for fact in facts))
        return 0
    if console.json_lines:
        for row in rows:
            console.say(f"{row.combination}: {row.state}", chain=report.chain.id, **row.facts())
        return 0
    console.table(report.headline, COLUMNS, [_cells(row) for row in rows])
    if any(row.best_on_validation for row in rows):
        console.say("* lowest on validation; compare on that, and claim what stands under test")
    seeds = over_seeds(rows)
    if seeds:
        console.table("over seeds: mean ± standard deviation", SEEDS, [_summary(s) for s in seeds])
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


def _summary(summary: OverSeeds) -> tuple[str, ...]:
    chrf = summary.adapter_chrf
    return (
        summary.combination,
        summary.language,
        str(summary.seeds),
        _deviation(summary.validation_bits_per_byte, places=3),
        f"{summary.base_bits_per_byte:.3f} -> "
        f"{_deviation(summary.adapter_bits_per_byte, places=3)}",
        "" if chrf is None else _deviation(chrf, places=1),
    )


def _deviation(spread: tuple[float, float], *, places: int) -> str:
    return f"{spread[0]:.{places}f} ± {spread[1]:.{places}f}"


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
