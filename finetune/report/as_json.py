"""The report as JSON: numbers and codes, and English sentences where there are words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from finetune.artefacts.results import as_json
from finetune.artefacts.scores import Score
from finetune.artefacts.seeds import Pooled
from finetune.report.comparable import Comparable, Scored
from finetune.report.report_document import Document
from finetune.report.run_facts import Run
from finetune.report.said import gain_of, verdict_said, word_of
from finetune.spec.tables.metric import VALIDATED
from finetune.statistics.significance import Comparison

SCHEMA = 1


def json_of(document: Document) -> dict[str, Any]:
    """Return the report as a JSON object."""
    return {
        "schema": SCHEMA,
        "sweep": document.sweep,
        "runs": [_run(run, document) for run in document.runs],
        "scores": [score_facts(one, group) for group in document.groups for one in group.scored],
        "seeds": [
            {"runs": [run.label for run in one.runs]} | pooled_facts(pooled)
            for one in document.seeds
            for pooled in one.pooled
        ],
        "samples": [asdict(one) for one in document.samples.shown],
        "samples_not_shown_of_cards": list(document.samples.kept_back),
        "bits_per_byte_by_length": [asdict(one) for one in document.lengths],
        "curves": [asdict(one) for one in document.curves],
    }


def run_facts(run: Run) -> dict[str, Any]:
    """Return what tells a run apart, on one level."""
    return {
        "run": run.label,
        "recipe": run.name,
        "state": run.state,
        "repo": run.repo,
        "evaluate": run.evaluate,
        "train": run.train,
        "release": run.release,
        "base": run.base,
        "steps": run.steps,
        "seed": run.seed,
    }


def score_facts(scored: Scored, group: Comparable) -> dict[str, Any]:
    """Return one run's scores in one metric and language; `gain` is above 0 where it is better."""
    test = scored.pair.test
    gain = dict(zip(("value", "low", "high"), gain_of(test, test), strict=True))
    yardsticks = {
        rival.name: {
            "value": rival.value,
            "gain": dict(zip(("value", "low", "high"), gain_of(rival, test), strict=True)),
            "p_value": rival.p_value,
        }
        for rival in test.rivals
    }
    first = scored.beside_first
    return {
        "run": scored.run.label,
        "metric": test.metric,
        "language": test.language,
        "direction": test.direction,
        "phase": test.phase,
        "task": test.task,
        "n": test.n,
        "unit": test.unit,
        "base": _score(scored.pair.base),
        "adapter": _score(scored.pair.adapter),
        "gain": gain | {"p_value": test.p_value, "p_holm": test.p_holm},
        "yardsticks": yardsticks,
        "better": word_of(test),
        "verdict": str(verdict_said(test)),
        "signature": scored.pair.adapter.signature,
        "not_compared_with_first": [str(one) for one in group.differs],
        "beside_first": None if first is None else _comparison(first),
    }


def pooled_facts(one: Pooled) -> dict[str, Any]:
    """Return a metric over seeds; differences are adapter minus the other."""
    against = {name: _comparison(found) for name, found in one.against.items()}
    return {
        "metric": one.test.metric,
        "language": one.test.direction or one.test.language,
        "by_seed": list(one.values),
        "mean": one.mean,
        "deviation": one.deviation,
        "better_in": one.better,
        "against": against,
    }


def _run(run: Run, document: Document) -> dict[str, Any]:
    trained = run.trained
    cost = [asdict(one) | {"hours": one.hours} for one in document.costs if one.label == run.label]
    return run_facts(run) | {
        "swept": dict(run.swept),
        "settings": dict(run.settings),
        VALIDATED: dict(trained.validation_bits_per_byte) if trained else {},
        "first_lines": [
            {"kind": line.kind, "text": str(line.text)}
            for one, line in document.lines
            if one.label == run.label
        ],
        "outputs": [as_json(one) for one in run.evaluated.outputs] if run.evaluated else [],
        "funnel": [dict(row) for row in run.funnel],
        "terms": asdict(run.terms) if run.terms else None,
        "cost": cost[0] if cost else None,
        "timeline": [
            asdict(replace(one, note=None)) | {"note": one.note and str(one.note)}
            for one in run.stretches
        ],
    }


def _score(score: Score) -> Mapping[str, float]:
    return {"value": score.value, "low": score.low, "high": score.high}


def _comparison(found: Comparison) -> dict[str, float]:
    return {
        "value": found.first.value,
        "difference": found.difference.value,
        "low": found.difference.low,
        "high": found.difference.high,
        "p_value": found.p_value,
        "p_floor": found.p_floor,
    }
