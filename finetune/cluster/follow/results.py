"""Results of a chain or a sweep: one row per combination and language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from finetune.artefacts.results import EvaluateResult, TrainResult, parse_result
from finetune.artefacts.scores import PairedTest
from finetune.cluster.chain.chain import Chain, ChainJob
from finetune.cluster.follow.job_state import State
from finetune.cluster.follow.status import ChainReport, chain_state
from finetune.pipeline.manifest import Manifest, read_manifest
from finetune.pipeline.store import Store
from finetune.spec.tables.metric import VALIDATED, VALIDATION, Metric, metric
from finetune.spec.tables.task import UNNAMED, task, task_of


@dataclass(frozen=True, slots=True)
class Compared:
    """Base and adapter on test, in one metric."""

    base: float
    adapter: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Result:
    """Scores of a combination in one language or translation direction."""

    combination: str
    """`key=value ...`, or the id of a chain without a sweep."""
    state: State
    settings: Mapping[str, str] = field(default_factory=dict)
    """Swept keys and their values."""
    language: str | None = None
    """`hau_Latn`, or `eng_Latn-hau_Latn` for a further direction of a language."""
    validation: float | None = None
    """Score in the validation metric."""
    best_on_validation: bool = False
    """True if it is the best of all combinations with the same prepared texts."""
    tested: Mapping[str, Compared] = field(default_factory=dict)
    """By name of the metric."""
    train: str | None = None
    """`train/key` of the adapter."""
    evaluate: str | None = None
    """`evaluate/key` of its scores."""

    def facts(self, metrics: Sequence[Metric]) -> dict[str, Any]:
        """Return the row for `--json` and `--csv`; three fields per metric."""
        scores: dict[str, Any] = {}
        for row in metrics:
            test = self.tested.get(row.name)
            values = (test.base, test.adapter, test.p_value) if test else (None, None, None)
            scores |= dict(zip(row.fields, values, strict=True))
        return {
            "combination": self.combination,
            "state": self.state,
            "settings": dict(self.settings),
            "language": self.language,
            VALIDATED: self.validation,
            "best_on_validation": self.best_on_validation,
            **scores,
            "train": self.train,
        }


def metrics_of(rows: Sequence[Result]) -> list[Metric]:
    """Return the metrics to show: those of every evaluation, then further metrics of the rows."""
    always = [n for one in UNNAMED for n in task(one).metrics if metric(n).is_judged]
    return [metric(name) for name in dict.fromkeys((*always, *(n for r in rows for n in r.tested)))]


def results_of(report: ChainReport) -> list[Result]:
    """Return the rows of a chain, grouped by combination, finished or not."""
    chain = report.chain
    store = Store(Path(chain.store))
    rows: list[tuple[str | None, Result]] = []
    evaluations: dict[tuple[str, ...], list[ChainJob]] = {}  # of which tasks may share one
    for job in last_jobs(chain):
        evaluations.setdefault(job.artefacts, []).append(job)
    for tasks in evaluations.values():
        evaluate = tasks[0]
        names = {*(task.name for task in tasks), *evaluate.depends_on}
        own = [job for job in report.jobs if job.name in names]
        named = " ".join(evaluate.settings) or chain.id
        swept = dict(setting.split("=", 1) for setting in evaluate.settings)
        blank = Result(combination=named, state=chain_state(tuple(own)), settings=swept)
        validation: Mapping[str, float] = {}
        prepared = None
        known = (*evaluate.inputs, *evaluate.artefacts)  # of a training job its own artefact
        trained = _manifest(store, known, stage="train")
        if trained is not None:
            blank = replace(blank, train=f"train/{trained.key}")
            path = store.path_of("train", trained.key)
            found = parse_result(trained.result, TrainResult, path=path)
            validation = found.validation_bits_per_byte
            prepared = trained.inputs.get("prepare")
        scored = _manifest(store, evaluate.artefacts, stage="evaluate")
        comparisons: tuple[PairedTest, ...] = ()
        if scored is not None:
            path = store.path_of("evaluate", scored.key)
            blank = replace(blank, evaluate=f"evaluate/{scored.key}")
            comparisons = parse_result(scored.result, EvaluateResult, path=path).comparisons
        rows += [(prepared, row) for row in _rows(blank, validation, comparisons)]
    return _marked(rows)


def last_jobs(chain: Chain) -> list[ChainJob]:
    """Return the jobs that evaluate; without any (`submit --until`), the last that train."""
    evaluations = [job for job in chain.jobs if "evaluate" in job.stages]
    training_jobs = [
        job for job in chain.jobs if any(a.startswith("train/") for a in job.artefacts)
    ]
    before = {name for job in training_jobs for name in job.depends_on}
    return evaluations or [job for job in training_jobs if job.name not in before]


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """Means and standard deviations (n - 1) of combinations that differ only in their seeds."""

    combination: str
    language: str
    seeds: int
    validation: tuple[float, float]
    base: Mapping[str, float]
    """By name of the metric; the same for every seed."""
    adapter: Mapping[str, tuple[float, float]]


def over_seeds(rows: Sequence[Result]) -> list[OverSeeds]:
    """Summarise evaluated combinations with two or more seeds."""
    alike: dict[tuple[str, str], list[Result]] = {}
    for row in rows:
        kept = [f"{k}={v}" for k, v in row.settings.items() if not k.endswith("train.seed")]
        if row.language and len(kept) < len(row.settings) and row.tested:
            alike.setdefault((" ".join(kept), row.language), []).append(row)
    return [
        OverSeeds(
            combination=combination,
            language=language,
            seeds=len(same),
            validation=_spread([r.validation for r in same]),
            base={name: fmean(_values(same, name, "base")) for name in same[0].tested},
            adapter={name: _spread(_values(same, name, "adapter")) for name in same[0].tested},
        )
        for (combination, language), same in alike.items()
        if len(same) > 1
    ]


def evaluations_by_seed(rows: Sequence[Result], store: Path) -> dict[str, list[Path]]:
    """Return the folders of evaluations that differ only in their seeds, by combination."""
    alike: dict[str, dict[str, Path]] = {}
    for row in rows:
        kept = [f"{k}={v}" for k, v in row.settings.items() if not k.endswith("train.seed")]
        if len(kept) < len(row.settings) and row.evaluate:
            alike.setdefault(" ".join(kept), {})[row.evaluate] = store / row.evaluate
    return {name: list(found.values()) for name, found in alike.items() if len(found) > 1}


def _values(rows: Sequence[Result], name: str, system: str) -> list[float]:
    return [getattr(row.tested[name], system) for row in rows if name in row.tested]


def _spread(values: Sequence[float | None]) -> tuple[float, float]:
    known = [value for value in values if value is not None]
    return (fmean(known), stdev(known)) if len(known) > 1 else (float("nan"), float("nan"))


def _rows(
    blank: Result, validation: Mapping[str, float], comparisons: Sequence[PairedTest]
) -> list[Result]:
    """Return one row per language with its first direction, and one per further direction."""
    first: dict[str, _Place] = {}
    languages: dict[str, dict[_Place, dict[str, Compared]]] = {}
    for name in validation:
        languages[name] = {_LANGUAGE: {}}
    for test in comparisons:
        if not metric(test.metric).is_judged:
            continue
        language, place = test.language, _LANGUAGE
        places = languages.setdefault(language, {_LANGUAGE: {}})
        if test.task:
            task = task_of(test.task, direction=test.direction)
            place = (f"{test.direction or language} ({task.label})", test.phase)
        elif test.direction:
            place = (test.direction, test.phase)
            place = _LANGUAGE if first.setdefault(language, place) == place else place
        tested = Compared(test.base, test.adapter, test.p_value)
        places.setdefault(place, {})[test.metric] = tested
    return [
        replace(
            blank,
            language=place[0] or language,
            validation=validation.get(language) if place == _LANGUAGE else None,
            tested=tested,
        )
        for language, places in languages.items()
        for place, tested in places.items()
    ] or [blank]


_Place = tuple[str | None, str | None]
"""A row of a language: its direction or task, and the phase."""
_LANGUAGE: _Place = (None, None)
"""The row of the language itself."""


def _marked(rows: list[tuple[str | None, Result]]) -> list[Result]:
    """Mark the best validation score among rows with the same texts, if there are several."""
    groups: dict[tuple[str | None, str | None], list[float]] = {}
    for prepared, row in rows:
        if row.validation is not None:
            groups.setdefault((prepared, row.language), []).append(row.validation)
    best_of = max if metric(VALIDATION).higher_is_better else min
    marked = []
    for prepared, row in rows:
        scores = groups.get((prepared, row.language), [])
        best = len(scores) > 1 and row.validation == best_of(scores)
        marked.append(replace(row, best_on_validation=best))
    return marked


def _manifest(store: Store, artefacts: Sequence[str], *, stage: str) -> Manifest | None:
    """Return the manifest of the last artefact of a stage among these, if it exists."""
    named = [a for a in artefacts if a.startswith(f"{stage}/")]
    path = store.root / named[-1] if named else None
    return read_manifest(path) if path is not None and path.is_dir() else None
