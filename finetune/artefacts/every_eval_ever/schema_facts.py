"""Facts of a record of Every Eval Ever: model, source of the items, metric, score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.artefacts.results import BaseResult, EvaluateResult
from finetune.artefacts.scores import Score, subject
from finetune.artefacts.verdicts import YARDSTICKS
from finetune.spec.card import DataCard
from finetune.spec.sections.source import HubSource, UrlSource
from finetune.spec.tables.metric import metric
from finetune.statistics.bootstrap import CONFIDENCE


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation, with what its result does not hold."""

    result: EvaluateResult
    folder: Path
    """Of the files that the result lists."""
    cards: Mapping[str, DataCard]
    base: BaseResult
    adapter: str
    """`ORG/NAME`."""
    organisation: str
    resamples: int
    finished: float
    """Seconds since the epoch."""
    version: str
    """Of finetune."""
    transformers: str | None
    """Version of the library that ran the models."""


def model_facts(evaluated: Evaluated, system: str) -> dict[str, Any]:
    """Return the model of a system; a yardstick without one is named as such."""
    base = evaluated.base
    details = {"deployment_type": "self_deployed", "model_availability": "unknown"}
    if system in ("base", "examples"):
        name = base.hub_id
        details |= {"model_availability": "open_weights"} if base.revision else {}
        details |= {"revision": base.revision} if base.revision else {}
        details |= {"source": base.source} if base.source else {}
        details |= {"dequantized": "true"} if base.dequantized else {}
    elif system == "adapter":
        name = evaluated.adapter
        details |= {"base_model": base.hub_id, "base_model_relation": "adapter"}
    else:
        name = f"yardstick/{system}"
    if system in YARDSTICKS:
        details["yardstick"] = YARDSTICKS[system]
    found: dict[str, Any] = {"id": name, "name": name, "additional_details": details}
    if system in ("base", "adapter", "examples"):
        found["developer"] = name.partition("/")[0]
        if evaluated.transformers:
            engine = {"name": "transformers", "version": evaluated.transformers}
            found["inference_engine"] = engine
    return found


def source_facts(evaluated: Evaluated, score: Score, cards: Sequence[str]) -> dict[str, Any]:
    """Return the corpora of the items of a score; one alone is named by its place."""
    known = [evaluated.cards[name] for name in cards if name in evaluated.cards]
    named = ", ".join(card.pretty_name or card.name for card in known) or "not stated"
    tests = {"named in the data card" if _names_test(card) else _BY_HASH for card in known}
    details = {"split": f"{score.split}, {' and '.join(sorted(tests))}" if tests else score.split}
    details |= {"cards": ", ".join(card.name for card in known)} if known else {}
    found = {"dataset_name": named, "source_type": "other", "additional_details": details}
    source = known[0].corpus.source if len(known) == 1 else None
    if isinstance(source, HubSource):
        return found | {"source_type": "hf_dataset", "hf_repo": source.dataset}
    if isinstance(source, UrlSource):
        return found | {"source_type": "url", "url": [file.url for file in source.files]}
    return found


_BY_HASH = "held out by a hash of the source text"


def _names_test(card: DataCard) -> bool:
    return card.corpus.test not in (None, "none")


def metric_facts(score: Score) -> dict[str, Any]:
    """Return the metric of a score, with its range where that is known."""
    row = metric(score.metric)
    lowest, highest = row.scale
    return {
        "evaluation_description": f"{row.label}: it {row.about}",
        "metric_id": row.hub_id,
        "metric_name": row.label,
        "metric_unit": row.column,
        "lower_is_better": not row.higher_is_better,
        "score_type": "continuous",
        "min_score": lowest,
        "max_score": "Infinity" if highest == math.inf else highest,
        "additional_details": {"signature": score.signature},
    }


def score_facts(evaluated: Evaluated, score: Score) -> dict[str, Any]:
    """Return a score with its interval; of the adapter also the paired test against the base."""
    found: dict[str, Any] = {
        "score": score.value,
        "uncertainty": {
            "confidence_interval": {
                "lower": score.low,
                "upper": score.high,
                "confidence_level": CONFIDENCE,
                "method": "percentile bootstrap of documents",
            },
            "num_samples": score.n,
            "num_bootstrap_samples": evaluated.resamples,
        },
    }
    tests = {subject(test): test for test in evaluated.result.comparisons}
    test = tests.get(subject(score))
    details = {"unit": score.unit} | ({"given": score.given} if score.given else {})
    if test is not None and score.system == "adapter":
        facts = ("difference", "low", "high", "p_value", "p_holm", "minimum_effect", "better")
        stated = {name: getattr(test, name) for name in facts}
        details |= {f"against_base_{k}": str(v) for k, v in stated.items() if v is not None}
        details["against_base_test"] = test.test
    return found | {"details": details}
