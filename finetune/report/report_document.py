"""All that a report shows, as values: page, Markdown, JSON and terminal are made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from finetune.artefacts.first_lines import Line, LineKind, first_lines
from finetune.artefacts.outputs.output_table import OutputRow, output_rows
from finetune.artefacts.verdicts import is_gain
from finetune.report.across_seeds import OfSeeds, across_seeds
from finetune.report.by_length import ByLength, by_length
from finetune.report.comparable import Comparable, comparable
from finetune.report.costs import Cost, costs_of
from finetune.report.find_runs import Found, differing_settings
from finetune.report.loss_curves import Curves, loss_curves
from finetune.report.run_facts import Run
from finetune.report.run_timeline import with_attempts
from finetune.report.said import short_verdict
from finetune.report.text_samples import Samples, samples_of
from finetune.spec.tables.metric import VALIDATION, metric

MOST_NAMED = 3
"""Names in a title; of more, the first and the number."""


@dataclass(frozen=True, slots=True)
class Document:
    """A report."""

    runs: tuple[Run, ...]
    sweep: str | None
    """Id of the chain, if the runs are its combinations."""
    differing: tuple[str, ...]
    """Dotted keys of settings in which the runs differ."""
    lines: tuple[tuple[Run, Line], ...]
    """Lines to read before any score; of several runs, one each."""
    groups: tuple[Comparable, ...]
    seeds: tuple[OfSeeds, ...]
    samples: Samples
    lengths: tuple[ByLength, ...]
    curves: tuple[Curves, ...]
    costs: tuple[Cost, ...]
    outputs: tuple[tuple[Run, tuple[OutputRow, ...]], ...]

    @property
    def title(self) -> str:
        """Names of what is reported."""
        if self.sweep:
            return self.sweep
        names = list(dict.fromkeys(run.repo or run.name for run in self.runs))
        return ", ".join(names) if len(names) <= MOST_NAMED else f"{names[0]} … ({len(names)})"


def document_of(found: Found, *, store: Path) -> Document:
    """Return the report of runs."""
    runs = with_attempts(found.runs, store)
    sweep = found.chain.chain.id if found.chain and len(runs) > 1 else None
    if sweep:
        runs.sort(key=validation_rank)
    groups = comparable(runs, between_runs=sweep is None)
    outputs = [
        (run, tuple(output_rows(run.evaluated.outputs, run.evaluated.scores)))
        for run in runs
        if run.evaluated
    ]
    swept = dict.fromkeys(key for run in runs for key in run.swept)
    return Document(
        runs=tuple(runs),
        sweep=sweep,
        differing=tuple(swept) if sweep and swept else tuple(_shown(differing_settings(runs))),
        lines=tuple((run, line) for run in runs for line in _lines(run, alone=len(runs) == 1)),
        groups=tuple(groups),
        seeds=tuple(across_seeds(runs)),
        samples=samples_of(runs),
        lengths=tuple(by_length(groups)),
        curves=tuple(loss_curves(runs)),
        costs=tuple(costs_of(runs)),
        outputs=tuple((run, rows) for run, rows in outputs if rows),
    )


def validation_of(run: Run) -> float | None:
    """Return the mean of the best validation over languages; None without one."""
    values = run.trained.validation_bits_per_byte.values() if run.trained else ()
    return fmean(values) if values else None


def validation_rank(run: Run) -> tuple[bool, float]:
    """Return the place of a run among others: best on validation first, unfinished ones last."""
    value = validation_of(run)
    up = -1 if metric(VALIDATION).higher_is_better else 1
    return value is None, 0.0 if value is None else up * value


def _lines(run: Run, *, alone: bool) -> list[Line]:
    if run.evaluated is None:
        return []
    lines = first_lines(run.evaluated.comparisons, gates=run.gates)
    if alone or not lines:
        return lines
    judged = [one for one in run.evaluated.comparisons if metric(one.metric).is_judged]
    kind: LineKind = "gain" if all(map(is_gain, judged)) else "no-gain"
    kept = [one for one in lines if one.kind in ("health", "overridden")]
    return [*kept, Line(kind, short_verdict(run.evaluated.comparisons))]


def _shown(keys: Sequence[str]) -> list[str]:
    """Return the settings that a table of runs shows beside seed and steps."""
    return [key for key in keys if key not in ("train.seed", "base")]
