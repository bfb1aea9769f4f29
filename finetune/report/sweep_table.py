"""The table of a sweep in the terminal: a row per combination and language, finished or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from finetune.artefacts.results import EvaluateResult, parse_result
from finetune.artefacts.seeds import Pooled, pooled
from finetune.artefacts.verdicts import YARDSTICKS
from finetune.cluster.follow.results import (
    Compared,
    OverSeeds,
    Result,
    evaluations_by_seed,
    metrics_of,
    over_seeds,
    results_of,
)
from finetune.cluster.follow.status import ChainReport
from finetune.messages import phrase, sentence
from finetune.output.console import Console
from finetune.output.spreadsheet import write_rows
from finetune.pipeline.manifest import read_manifest
from finetune.report.as_json import pooled_facts
from finetune.spec.tables.metric import VALIDATION, Metric, metric, refuse_shared_fields

_POOLED_COLUMNS = (
    sentence("combination"),
    sentence("language"),
    sentence("score"),
    sentence("by seed"),
    sentence("mean ± sd"),
    sentence("better in"),
    phrase("p"),
)


def show_sweep(report: ChainReport, console: Console, *, csv: bool = False) -> None:
    """Show one row per combination and language, finished or not; `csv`: as CSV."""
    rows = results_of(report)
    metrics = metrics_of(rows)
    if csv or console.json_lines:
        refuse_shared_fields(metrics)
    if csv:
        keys = list(dict.fromkeys(key for row in rows for key in row.settings))
        names = [name for name in Result("", "lost").facts(metrics) if name != "settings"]
        facts = (row.facts(metrics) | dict(row.settings) for row in rows)
        header = [*keys, *names]
        write_rows(console.out, header, ([fact.get(key) for key in header] for fact in facts))
        return
    if console.json_lines:
        for row in rows:
            summary = f"{row.combination}: {row.state}"
            console.say(summary, chain=report.chain.id, **row.facts(metrics))
        for combination, one in _pooled_of(rows, report):
            name = metric(one.test.metric).name
            summary = f"{combination}: {name} of {len(one.values)} seeds"
            of_seeds = {"combination": combination} | pooled_facts(one)
            console.say(summary, chain=report.chain.id, **of_seeds)
        return
    columns = ("combination", "language", *_columns(metrics, p="p"), "state")
    console.table(report.headline, columns, [_cells(row, metrics) for row in rows])
    if any(row.best_on_validation for row in rows):
        best = "highest" if metric(VALIDATION).higher_is_better else "lowest"
        console.say(f"* {best} on validation; select by validation, report the test scores")
    seeds = over_seeds(rows)
    if seeds:
        columns = ("combination", "language", "seeds", *_columns(metrics))
        table = [_summary(seed, metrics) for seed in seeds]
        console.table("mean ± standard deviation over seeds", columns, table)
        pooled = _pooled_of(rows, report)
        table = [row for combination, one in pooled for row in _pooled_rows(combination, one)]
        if table:
            title = sentence("seeds: paired tests of their mean, documents exchanged")
            heads = [said.in_language(console.language) for said in (title, *_POOLED_COLUMNS)]
            console.table(heads[0], heads[1:], table)


def _pooled_of(rows: Sequence[Result], report: ChainReport) -> Iterator[tuple[str, Pooled]]:
    """Yield each metric over seeds with its combination: the paired test of their mean."""
    for combination, folders in evaluations_by_seed(rows, Path(report.chain.store)).items():
        results = [
            (folder, parse_result(read_manifest(folder).result, EvaluateResult, path=folder))
            for folder in folders
        ]
        yield from ((combination, one) for one in pooled(results))


def _pooled_rows(combination: str, one: Pooled) -> Iterator[tuple[str, ...]]:
    """Yield a row for the adapter, and one for the base and each yardstick beside it."""
    row = metric(one.test.metric)
    by_seed = " ".join(f"{value:z.{row.decimals}f}" for value in one.values)
    spread = _deviation((one.mean, one.deviation), places=row.decimals)
    where = one.test.direction or one.test.language
    won = f"{one.better} / {len(one.values)}"
    yield combination, where, row.column, by_seed, spread, won, ""
    for name, found in one.against.items():
        places, gap = row.decimals, found.difference
        ends = f"{gap.value:+z.{places}f} [{gap.low:+z.{places}f}, {gap.high:+z.{places}f}]"
        at_floor = found.p_value <= found.p_floor
        p_value = f"<= {found.p_floor:.1g}" if at_floor else f"{found.p_value:.3f}"
        yield (
            "",
            f"  {YARDSTICKS.get(name, name)}",
            "",
            f"{found.first.value:z.{places}f}",
            ends,
            "",
            p_value,
        )


def _columns(metrics: Sequence[Metric], *, p: str | None = None) -> list[str]:
    """Return the column heads of the metrics, each followed by its p-value if `p` is given."""
    columns = [f"validation\n{metric(VALIDATION).column}"]
    for row in metrics:
        columns += [f"test {row.column}\nbase -> adapter", *([p] if p else [])]
    return columns


def _cells(row: Result, metrics: Sequence[Metric]) -> tuple[str, ...]:
    places = metric(VALIDATION).decimals
    validation = "" if row.validation is None else f"{row.validation:z.{places}f}"
    tested = [cell for m in metrics for cell in _tested(row.tested.get(m.name), m)]
    return (
        row.combination,
        row.language or "",
        f"{validation} *" if row.best_on_validation else validation,
        *tested,
        row.state,
    )


def _tested(scores: Compared | None, row: Metric) -> tuple[str, str]:
    if scores is None:
        return "", ""
    p_value = "< 0.001" if scores.p_value < 0.001 else f"{scores.p_value:.3f}"
    return f"{scores.base:z.{row.decimals}f} -> {scores.adapter:z.{row.decimals}f}", p_value


def _summary(summary: OverSeeds, metrics: Sequence[Metric]) -> tuple[str, ...]:
    return (
        summary.combination,
        summary.language,
        str(summary.seeds),
        _deviation(summary.validation, places=metric(VALIDATION).decimals),
        *(
            f"{summary.base[row.name]:z.{row.decimals}f} -> "
            f"{_deviation(summary.adapter[row.name], places=row.decimals)}"
            if row.name in summary.base
            else ""
            for row in metrics
        ),
    )


def _deviation(spread: tuple[float, float], *, places: int) -> str:
    return f"{spread[0]:z.{places}f} ± {spread[1]:z.{places}f}"
