"""`finetune report`: report pages of a recipe, and the score table of a sweep."""

from __future__ import annotations

import webbrowser
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.api.recipes import not_built
from finetune.cluster.chain.chain import find_chain
from finetune.cluster.follow.results import (
    Compared,
    OverSeeds,
    Result,
    evaluations_by_seed,
    metrics_of,
    over_seeds,
    results_of,
)
from finetune.cluster.follow.status import ChainReport, look
from finetune.errors import RecipeError, StoreError
from finetune.messages import phrase, problem, sentence
from finetune.output.console import Console
from finetune.output.spreadsheet import write_rows
from finetune.pipeline.gate import open_project
from finetune.pipeline.manifest import read_manifest
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.spec.tables.metric import VALIDATION, Metric, metric, refuse_shared_fields

if TYPE_CHECKING:
    from finetune.artefacts.seeds import Pooled

PAGE = "report.html"
_POOLED_COLUMNS = (
    sentence("combination"),
    sentence("language"),
    sentence("score"),
    sentence("by seed"),
    sentence("mean ± sd"),
    sentence("better in"),
    phrase("p"),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--open", action="store_true", help="open the newest page in a browser")
    parser.add_argument(
        "--sweep",
        action="store_true",
        help="score table of a sweep: name its chain instead of a recipe (default: the newest)",
    )
    parser.add_argument("--csv", action="store_true", help="the table of --sweep as CSV")


def run(options: Namespace, console: Console) -> int:
    """Show the report pages of a recipe, or the score table of a sweep."""
    if options.sweep:
        return _sweep(options, console)
    if options.recipe is None or options.csv:
        raise RecipeError(
            problem("no-report", "name a recipe, or a sweep with --sweep; --csv needs --sweep")
        )
    project = open_project(options.recipe, purpose="report", overrides=options.overrides)
    store = Store(options.store)
    pages = {}
    for step in steps_of(project):
        if step.stage.name in ("prepare", "evaluate", "release"):
            artifact = store.find(step.stage.name, step.key)
            page = artifact.path / PAGE if artifact else None
            if page is not None and page.is_file():
                pages["corpus" if step.stage.name == "prepare" else "results"] = page
    if not pages:
        raise StoreError(not_built(project, store=store, verb="run"))
    for name, page in pages.items():
        console.say(f"{name} report: {page}", report=name, path=str(page))
    if options.open:
        webbrowser.open(list(pages.values())[-1].as_uri())
    return 0


def _sweep(options: Namespace, console: Console) -> int:
    """Show one row per combination and language, finished or not."""
    chain = None if options.recipe is None else str(options.recipe)
    report = look(find_chain(options.store, chain))
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
            summary = f"{row.combination}: {row.state}"
            console.say(summary, chain=report.chain.id, **row.facts(metrics))
        for combination, one in _pooled_of(rows, report):
            name = metric(one.test.metric).name
            summary = f"{combination}: {name} of {len(one.values)} seeds"
            console.say(summary, chain=report.chain.id, **pooled_facts(combination, one))
        return 0
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
    return 0


def _pooled_of(rows: Sequence[Result], report: ChainReport) -> Iterator[tuple[str, Pooled]]:
    """Yield each metric over seeds with its combination: the paired test of their mean."""
    from finetune.artefacts.results import EvaluateResult, parse_result
    from finetune.artefacts.seeds import pooled

    for combination, folders in evaluations_by_seed(rows, Path(report.chain.store)).items():
        results = [
            (folder, parse_result(read_manifest(folder).result, EvaluateResult, path=folder))
            for folder in folders
        ]
        yield from ((combination, one) for one in pooled(results))


def pooled_facts(combination: str, one: Pooled) -> dict[str, object]:
    """Return a metric over seeds for `--json`; differences are adapter minus the other."""
    against = {
        name: {
            "value": found.first.value,
            "difference": found.difference.value,
            "low": found.difference.low,
            "high": found.difference.high,
            "p_value": found.p_value,
            "p_floor": found.p_floor,
        }
        for name, found in one.against.items()
    }
    return {
        "combination": combination,
        "metric": one.test.metric,
        "language": one.test.direction or one.test.language,
        "by_seed": list(one.values),
        "mean": one.mean,
        "deviation": one.deviation,
        "better_in": one.better,
        "against": against,
    }


def _pooled_rows(combination: str, one: Pooled) -> Iterator[tuple[str, ...]]:
    """Yield a row for the adapter, and one for the base and each yardstick beside it."""
    from finetune.artefacts.verdicts import YARDSTICKS

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
