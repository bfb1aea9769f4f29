"""Comparison of base and adapter: every metric of every task, with intervals and paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.artefacts.scores import Pair, PairedTest, Score, SystemName
from finetune.evaluate.added import refuse_other_statistics, score_of, statistics_of
from finetune.evaluate.parts import Part
from finetune.spec.recipe import Evaluate
from finetune.spec.tables.metric import Metric
from finetune.spec.tables.task import ALWAYS, Group, Task
from finetune.statistics.bootstrap import Interval
from finetune.statistics.significance import compare

Outputs = Sequence[Sequence[Any]]
"""Of the groups of a task in one part: an output for each item."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A task of an evaluation: its metrics and, part by part, its items."""

    task: Task
    metrics: tuple[Metric, ...]
    groups: tuple[tuple[Group, ...], ...]
    conditions: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Identity of a pair of scores: the fields on which both agree."""

    language: str
    direction: str | None
    phase: str | None
    signature: str
    task: str | None = None
    """None for the tasks of every evaluation."""


def pairs_of_task(
    asked: Asked,
    parts: Sequence[Part],
    outputs: Mapping[str, Sequence[Outputs]],
    *,
    settings: Evaluate,
) -> list[Pair]:
    """Compare what base and adapter gave for the items of a task, metric by metric.

    `outputs`: by system, part by part.
    """
    pairs = []
    for metric in asked.metrics:
        for number, part in enumerate(parts):
            both = (outputs[name][number] for name in ("base", "adapter"))
            for group, base, adapter in zip(asked.groups[number], *both, strict=True):
                if group.is_scored:
                    subject = Subject(
                        group.language,
                        group.direction,
                        part.phase,
                        metric.signed(asked.conditions),
                        None if asked.task.name in ALWAYS else asked.task.name,
                    )
                    pairs.append(pair_of(metric, base, adapter, subject=subject, settings=settings))
    return pairs


def pair_of(
    metric: Metric,
    base: Sequence[Any],
    adapter: Sequence[Any],
    *,
    subject: Subject,
    settings: Evaluate,
) -> Pair:
    """Compare the outputs of both systems, the i-th of the same item, and name the numbers."""
    base_NK, adapter_NK = statistics_of(metric, base), statistics_of(metric, adapter)
    refuse_other_statistics(metric, base_NK, adapter_NK)
    found = compare(
        base_NK,
        adapter_NK,
        score=score_of(metric),
        higher_is_better=metric.higher_is_better,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    about: dict[str, Any] = {
        "metric": metric.name,
        "language": subject.language,
        "direction": subject.direction,
        "phase": subject.phase,
        "task": subject.task,
        "n": found.num_items,
    }

    def scored(system: SystemName, at: Interval) -> Score:
        values: dict[str, Any] = {"value": at.value, "low": at.low, "high": at.high}
        return Score(system=system, signature=subject.signature, **values, **about)

    test = PairedTest(
        base=found.base.value,
        adapter=found.adapter.value,
        difference=found.difference.value,
        low=found.difference.low,
        high=found.difference.high,
        p_value=found.p_value,
        better=found.better,
        test=f"paired bootstrap, {settings.resamples} resamples",
        **about,
    )
    return Pair(scored("base", found.base), scored("adapter", found.adapter), test)
