"""One table of what a chain, or every combination of a job array, achieved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from finetune.cluster.follow.status import ChainReport, State, chain_state
from finetune.pipeline.store import Store, read_manifest


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
    validation_bits_per_byte: float | None = None
    best_on_validation: bool = False
    """Of all combinations with the same prepared texts."""
    base_bits_per_byte: float | None = None
    """On test."""
    adapter_bits_per_byte: float | None = None
    p_value: float | None = None
    base_chrf: float | None = None
    """chrF++ on test."""
    adapter_chrf: float | None = None
    chrf_p_value: float | None = None
    train: str | None = None
    """`train/key` of the adapter."""

    def facts(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


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
            validation = trained["result"]["validation_bits_per_byte"]
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
    validation_bits_per_byte: tuple[float, float]
    base_bits_per_byte: float
    """The same for every seed."""
    adapter_bits_per_byte: tuple[float, float]
    adapter_chrf: tuple[float, float] | None


def over_seeds(rows: Sequence[Result]) -> list[OverSeeds]:
    """Summarize evaluated combinations over their seeds, where there are two or more."""
    alike: dict[tuple[str, str], list[Result]] = {}
    for row in rows:
        kept = [f"{k}={v}" for k, v in row.settings.items() if not k.endswith("train.seed")]
        if row.language and len(kept) < len(row.settings) and row.adapter_bits_per_byte is not None:
            alike.setdefault((" ".join(kept), row.language), []).append(row)
    return [
        OverSeeds(
            combination=combination,
            language=language,
            seeds=len(same),
            validation_bits_per_byte=_spread([r.validation_bits_per_byte for r in same]),
            base_bits_per_byte=fmean(r.base_bits_per_byte or 0.0 for r in same),
            adapter_bits_per_byte=_spread([r.adapter_bits_per_byte for r in same]),
            adapter_chrf=(
                None if same[0].adapter_chrf is None else _spread([r.adapter_chrf for r in same])
            ),
        )
        for (combination, language), same in alike.items()
        if len(same) > 1
    ]


def _spread(values: Sequence[float | None]) -> tuple[float, float]:
    known = [value for value in values if value is not None]
    return (fmean(known), stdev(known)) if len(known) > 1 else (float("nan"), float("nan"))


def _rows(
    blank: Result, validation: Mapping[str, float], comparisons: list[Mapping[str, Any]]
) -> list[Result]:
    compression = {c["language"]: c for c in comparisons if c["metric"] == "bits_per_byte"}
    translation: dict[str, list[Mapping[str, Any]]] = {}
    for comparison in comparisons:
        if comparison["metric"] == "chrf++":
            translation.setdefault(comparison["language"], []).append(comparison)
    rows = []
    for language in dict.fromkeys((*validation, *compression, *translation)):
        row = replace(blank, language=language, validation_bits_per_byte=validation.get(language))
        if language in compression:
            row = replace(
                row,
                base_bits_per_byte=compression[language]["base"],
                adapter_bits_per_byte=compression[language]["adapter"],
                p_value=compression[language]["p_value"],
            )
        first, *more = translation.get(language, [None])
        rows.append(row if first is None else _with_chrf(row, first))
        rows += [_with_chrf(replace(blank, language=c["direction"]), c) for c in more if c]
    return rows or [blank]


def _with_chrf(row: Result, comparison: Mapping[str, Any]) -> Result:
    return replace(
        row,
        base_chrf=comparison["base"],
        adapter_chrf=comparison["adapter"],
        chrf_p_value=comparison["p_value"],
    )


def _marked(rows: list[tuple[str | None, Result]]) -> list[Result]:
    """Mark the lowest validation score among those on the same texts, where there are several."""
    groups: dict[tuple[str | None, str | None], list[float]] = {}
    for prepared, row in rows:
        if row.validation_bits_per_byte is not None:
            groups.setdefault((prepared, row.language), []).append(row.validation_bits_per_byte)
    marked = []
    for prepared, row in rows:
        scores = groups.get((prepared, row.language), [])
        best = len(scores) > 1 and row.validation_bits_per_byte == min(scores)
        marked.append(replace(row, best_on_validation=best))
    return marked


def _manifest(store: Store, artefacts: Sequence[str], *, stage: str) -> dict[str, Any] | None:
    """Return the manifest of the last artefact of a stage among these, if it is there."""
    named = [a for a in artefacts if a.startswith(f"{stage}/")]
    path = store.root / named[-1] if named else None
    return read_manifest(path) if path is not None and path.is_dir() else None
