"""One table of what a chain, or every combination of a job array, achieved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from finetune.cluster.follow.status import ChainReport, State, chain_state
from finetune.pipeline.store import Store, read_manifest
from finetune.spec.tables.metric import VALIDATED, VALIDATION, Metric, metric
from finetune.spec.tables.task import metrics_asked, task_of


@dataclass(frozen=True, slots=True)
class Compared:
    """Base and adapter on test, in one metric."""

    base: float
    adapter: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Result:
    """A combination in one language, or in one direction of translation."""

    combination: str
    """`key=value ...`, or the chain's id where nothing is swept."""
    state: State
    settings: Mapping[str, str] = field(default_factory=dict)
    """What is swept: key -> value."""
    language: str | None = None
    """`hau_Latn`, or `eng_Latn-hau_Latn` for one more direction of a language."""
    validation: float | None = None
    """In the metric that training validates with."""
    best_on_validation: bool = False
    """Of all combinations with the same prepared texts."""
    tested: Mapping[str, Compared] = field(default_factory=dict)
    """By name of the metric."""
    train: str | None = None
    """`train/key` of the adapter."""

    def facts(self, metrics: Sequence[Metric]) -> dict[str, Any]:
        """Return what a machine gets; three fields for each of these metrics."""
        scores: dict[str, Any] = {}
        for row in metrics:
            found = self.tested.get(row.name)
            values = (found.base, found.adapter, found.p_value) if found else (None, None, None)
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
    """Return the metrics to show: those of every evaluation, and what the rows have besides."""
    always = [row.name for row in metrics_asked((), ())]
    return [metric(name) for name in dict.fromkeys((*always, *(n for r in rows for n in r.tested)))]


def results_of(report: ChainReport) -> list[Result]:
    """Return the rows of a chain, those of one combination together; finished or not."""
    chain = report.chain
    store = Store(Path(chain.store))
    rows: list[tuple[str | None, Result]] = []
    for evaluate in (job for job in chain.jobs if "evaluate" in job.stages):
        own = [job for job in report.jobs if job.name in (evaluate.name, *evaluate.depends_on)]
        named = " ".join(evaluate.settings) or chain.id
        swept = dict(setting.split("=", 1) for setting in evaluate.settings)
        blank = Result(combination=named, state=chain_state(tuple(own)), settings=swept)
        validation: Mapping[str, float] = {}
        prepared = None
        trained = _manifest(store, evaluate.inputs, stage="train")
        if trained is not None:
            blank = replace(blank, train=f"train/{trained['key']}")
            validation = trained["result"][VALIDATED]
            prepared = trained["inputs"].get("prepare")
        scored = _manifest(store, evaluate.artefacts, stage="evaluate")
        comparisons = scored["result"]["comparisons"] if scored is not None else []
        rows += [(prepared, row) for row in _rows(blank, validation, comparisons)]
    return _marked(rows)


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """Combinations that differ only in their seeds: means and standard deviations (n - 1)."""

    combination: str
    language: str
    seeds: int
    validation: tuple[float, float]
    base: Mapping[str, float]
    """By name of the metric; the same for every seed."""
    adapter: Mapping[str, tuple[float, float]]


def over_seeds(rows: Sequence[Result]) -> list[OverSeeds]:
    """Summarize evaluated combinations over their seeds, where there are two or more."""
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


def _values(rows: Sequence[Result], name: str, system: str) -> list[float]:
    return [getattr(row.tested[name], system) for row in rows if name in row.tested]


def _spread(values: Sequence[float | None]) -> tuple[float, float]:
    known = [value for value in values if value is not None]
    return (fmean(known), stdev(known)) if len(known) > 1 else (float("nan"), float("nan"))


def _rows(
    blank: Result, validation: Mapping[str, float], comparisons: list[Mapping[str, Any]]
) -> list[Result]:
    """Return a row per language, with its first direction, and one for each further direction."""
    first: dict[str, _Place] = {}
    languages: dict[str, dict[_Place, dict[str, Compared]]] = {}
    for name in validation:
        languages[name] = {_LANGUAGE: {}}
    for one in comparisons:
        language, place = one["language"], _LANGUAGE
        places = languages.setdefault(language, {_LANGUAGE: {}})
        if one.get("task"):
            place = (f"{one['direction'] or language} ({task_of(one).label})", one.get("phase"))
        elif one["direction"]:
            place = (one["direction"], one.get("phase"))
            place = _LANGUAGE if first.setdefault(language, place) == place else place
        tested = Compared(one["base"], one["adapter"], one["p_value"])
        places.setdefault(place, {})[one["metric"]] = tested
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
    """Mark the lowest validation score among those on the same texts, where there are several."""
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


def _manifest(store: Store, artefacts: Sequence[str], *, stage: str) -> dict[str, Any] | None:
    """Return the manifest of the last artefact of a stage among these, if it is there."""
    named = [a for a in artefacts if a.startswith(f"{stage}/")]
    path = store.root / named[-1] if named else None
    return read_manifest(path) if path is not None and path.is_dir() else None
