"""`finetune results`: one table of what a chain or a job array achieved."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from finetune.cluster.chain.chain import find_chain
from finetune.cluster.follow.results import (
    Compared,
    OverSeeds,
    Result,
    metrics_of,
    over_seeds,
    results_of,
)
from finetune.cluster.follow.status import look
from finetune.output.console import Console
from finetune.output.spreadsheet import write_rows
from finetune.spec.tables.metric import VALIDATION, Metric, metric, refuse_shared_fields
from finetune.verbs.options import add_chain


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_chain(parser)
    parser.add_argument("--csv", action="store_true", help="as CSV, for a spreadsheet")


def run(options: Namespace, console: Console) -> int:
    """Show one row for each combination and language, finished or not."""
    report = look(find_chain(options.store.resolve(), options.chain))
    rows = results_of(report)
    metrics = metrics_of(rows)
    if options.csv or console.json_lines:
        refuse_shared_fields(metrics)
    if options.csv:
        keys = list(dict.fromkeys(key for row in rows for key in row.settings))
        names = [name for name in Result("", "lost").facts(metrics) if name != "settings"]
        facts = (row.facts(metrics) | dict(row.settings) for row in rows)
        header = [*keys, *names]
        write_rows(console.out, header, ([fact.get(key) for key in header] for fact in facts))
        return 0
    if console.json_lines:
        for row in rows:
            said = f"{row.combination}: {row.state}"
            console.say(said, chain=report.chain.id, **row.facts(metrics))
        return 0
    columns = ("combination", "language", *_columns(metrics, p="p"), "state")
    console.table(report.headline, columns, [_cells(row, metrics) for row in rows])
    if any(row.best_on_validation for row in rows):
        best = "highest" if metric(VALIDATION).higher_is_better else "lowest"
        console.say(f"* {best} on validation; compare on that, and claim what stands under test")
    seeds = over_seeds(rows)
    if seeds:
        columns = ("combination", "language", "seeds", *_columns(metrics))
        table = [_summary(seed, metrics) for seed in seeds]
        console.table("over seeds: mean ± standard deviation", columns, table)
    return 0


def _columns(metrics: Sequence[Metric], *, p: str | None = None) -> list[str]:
    """Return the heads of what is measured, each with a column for its p-value if that has one."""
    columns = [f"validation\n{metric(VALIDATION).column}"]
    for row in metrics:
        columns += [f"test {row.column}\nbase -> adapter", *([p] if p else [])]
    return columns


def _cells(row: Result, metrics: Sequence[Metric]) -> tuple[str, ...]:
    places = metric(VALIDATION).decimals
    validation = "" if row.validation is None else f"{row.validation:.{places}f}"
    tested = [cell for one in metrics for cell in _tested(row.tested.get(one.name), one)]
    return (
        row.combination,
        row.language or "",
        f"{validation} *" if row.best_on_validation else validation,
        *tested,
        row.state,
    )


def _tested(found: Compared | None, row: Metric) -> tuple[str, str]:
    if found is None:
        return "", ""
    p_value = "< 0.001" if found.p_value < 0.001 else f"{found.p_value:.3f}"
    return f"{found.base:.{row.decimals}f} -> {found.adapter:.{row.decimals}f}", p_value


def _summary(summary: OverSeeds, metrics: Sequence[Metric]) -> tuple[str, ...]:
    return (
        summary.combination,
        summary.language,
        str(summary.seeds),
        _deviation(summary.validation, places=metric(VALIDATION).decimals),
        *(
            f"{summary.base[row.name]:.{row.decimals}f} -> "
            f"{_deviation(summary.adapter[row.name], places=row.decimals)}"
            if row.name in summary.base
            else ""
            for row in metrics
        ),
    )


def _deviation(spread: tuple[float, float], *, places: int) -> str:
    return f"{spread[0]:.{places}f} ± {spread[1]:.{places}f}"
