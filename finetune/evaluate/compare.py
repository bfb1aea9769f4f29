"""Comparison of base and adapter: every metric of every task, with intervals and paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finetune.artefacts.items import Item, Question
from finetune.artefacts.other_documents import HeldOut
from finetune.artefacts.scores import Pair, PairedTest, Rival, Score
from finetune.evaluate.added import refuse_other_statistics, score_of, statistics_of
from finetune.evaluate.parts import Part
from finetune.spec.recipe import Evaluate
from finetune.spec.tables.metric import Metric
from finetune.spec.tables.task import UNNAMED, Group, Task
from finetune.statistics.bootstrap import Interval
from finetune.statistics.significance import EXACT_DOCUMENTS, EXCHANGES, Comparison, compare

Outputs = Sequence[Sequence[Any] | None]
"""Of the groups of a task in one part: an output for each item; None where there is none,
for a group or for an item."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A task of an evaluation: its metrics and, part by part, its items."""

    task: Task
    metrics: tuple[Metric, ...]
    groups: tuple[tuple[Group, ...], ...]
    conditions: str


BLIND = ("ngram",)
"""Yardsticks that are given nothing beside the text that they score."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Identity of a pair of scores: the fields on which both agree."""

    language: str
    direction: str | None
    phase: str | None
    signature: str
    task: str | None = None
    """None for the tasks of every evaluation."""
    unit: str = "item"
    given: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """A pair of scores, and the statistics of each item from which it can be recomputed."""

    pair: Pair
    items: Sequence[Any]
    statistics: Mapping[str, NDArray[np.float64]]
    """By system: (N, K)."""
    held_out: HeldOut | None = None
    """Whole that the items are parts of; None: each was held out alone, or all are of one kind."""


def by_item(asked: Asked, by_part: Sequence[Outputs]) -> dict[int, Any]:
    """Return the outputs that there are, part by part, by the identity of their items."""
    return {
        id(item): output
        for groups, of_part in zip(asked.groups, by_part, strict=True)
        for group, outputs in zip(groups, of_part, strict=True)
        for item, output in zip(group.items, outputs or (), strict=False)
        if output is not None
    }


def pairs_of_task(
    asked: Asked,
    parts: Sequence[Part],
    outputs: Mapping[str, Sequence[Outputs]],
    *,
    settings: Evaluate,
) -> list[Counted]:
    """Compare what base, adapter and yardsticks gave for the items of a task, metric by metric.

    `outputs`: by system, part by part; None for a group of which a yardstick has nothing.
    """
    pairs = []
    for metric in asked.metrics:
        for number, part in enumerate(parts):
            for place, group in enumerate(asked.groups[number]):
                if not group.is_scored:
                    continue
                subject = Subject(
                    group.language,
                    group.direction,
                    part.phase,
                    metric.signed(asked.conditions),
                    None if asked.task.name in UNNAMED else asked.task.name,
                    group.unit,
                    group.given,
                )
                of_group = {name: each[number][place] for name, each in outputs.items()}
                if not can_score(metric, of_group):
                    continue
                for kind, numbers in kinds_of(group.items):
                    counted = pair_of(
                        metric,
                        {name: _at(each, numbers) for name, each in of_group.items()},
                        [group.items[i] for i in numbers],
                        subject=subject,
                        settings=settings,
                    )
                    pairs.append(replace(counted, held_out=kind))
    return pairs


def can_score(metric: Metric, outputs: Mapping[str, Sequence[Any] | None]) -> bool:
    """Return whether a metric says something of the outputs of each system."""
    ask = metric.can_score
    return ask is None or all(ask(each) for each in outputs.values() if each is not None)


def pair_of(
    metric: Metric,
    outputs: Mapping[str, Sequence[Any] | None],
    items: Sequence[Any],
    *,
    subject: Subject,
    settings: Evaluate,
) -> Counted:
    """Compare the outputs of systems, the i-th of item i, and name the numbers.

    Who is better is not decided here: that depends on the number of claims (evaluate.verdicts).
    """
    given = {name: each for name, each in outputs.items() if each is not None}
    counted = {name: _array(statistics_of(metric, each)) for name, each in given.items()}
    refuse_other_statistics(metric, counted["base"], counted["adapter"])
    documents, score = documents_of(items), score_of(metric)

    def against(name: str) -> Comparison:
        return compare(
            counted[name],
            counted["adapter"],
            documents=documents,
            score=score,
            resamples=settings.resamples,
            seed=settings.seed,
        )

    found = {name: against(name) for name in counted if name != "adapter"}
    about: dict[str, Any] = {
        "metric": metric.name,
        "language": subject.language,
        "direction": subject.direction,
        "phase": subject.phase,
        "task": subject.task,
        "n": len(items),
        "unit": subject.unit,
        "given": subject.given,
    }
    intervals = {name: one.first for name, one in found.items()}
    intervals["adapter"] = found["base"].second
    scores = _scores(intervals, about, signature=_signed(subject, metric, counted["adapter"]))

    def least(one: Comparison) -> float:
        return metric.least_effect(one.first.value, settings.minimum_effect)

    rivals = tuple(_rival(name, one, least(one)) for name, one in found.items() if name != "base")
    pair = Pair(
        scores.pop("base"),
        scores.pop("adapter"),
        _test(found["base"], least=least(found["base"]), rivals=rivals, about=about),
        tuple(scores.values()),
    )
    return Counted(pair, items, counted)


def _signed(subject: Subject, metric: Metric, statistics_NK: NDArray[np.float64]) -> str:
    """Return the signature of a score; of bits per byte with the bytes."""
    if not metric.denominator:
        return subject.signature
    return f"{subject.signature}|{metric.denominator}:{statistics_NK[:, 1].sum():.0f}"


def _scores(
    intervals: Mapping[str, Interval], about: Mapping[str, Any], *, signature: str
) -> dict[str, Score]:
    return {
        name: Score(
            **{**about, "given": None if name in BLIND else about["given"]},
            system=cast("Any", name),
            signature=signature,
            **_values(at),
        )
        for name, at in intervals.items()
    }


def kinds_of(items: Sequence[Any]) -> list[tuple[HeldOut | None, list[int]]]:
    """Return the items by what is held out with them: first those that were held out alone.

    Where none was, all of them as one kind.
    """
    wholes = [item.held_out if isinstance(item, Item) else None for item in items]
    if None not in wholes:
        return [(None, list(range(len(items))))]
    kinds: tuple[HeldOut | None, ...] = (None, "document", "card")
    found = [(kind, [i for i, one in enumerate(wholes) if one == kind]) for kind in kinds]
    return [(kind, numbers) for kind, numbers in found if numbers]


def _at(outputs: Sequence[Any] | None, numbers: Sequence[int]) -> list[Any] | None:
    return None if outputs is None else [outputs[number] for number in numbers]


def documents_of(items: Sequence[Any]) -> list[Any]:
    """Return the document of each item: its source text, what a question is about, or itself.

    Translations of one text into a language depend on each other; so do questions about one.
    """
    return [_document_of(item, number) for number, item in enumerate(items)]


def _document_of(item: Any, number: int) -> Any:
    if isinstance(item, Question):
        return item.document
    return item.id if isinstance(item, Item) else number


def _array(statistics: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(statistics, dtype=np.float64)


def _values(at: Interval) -> dict[str, Any]:
    return {"value": at.value, "low": at.low, "high": at.high}


def _rival(name: str, found: Comparison, least: float) -> Rival:
    return Rival(
        name=cast("Any", name),
        value=found.first.value,
        difference=found.difference.value,
        low=found.difference.low,
        high=found.difference.high,
        p_value=found.p_value,
        minimum_effect=least,
    )


def _test(
    found: Comparison, *, least: float, rivals: tuple[Rival, ...], about: Mapping[str, Any]
) -> PairedTest:
    exact = found.num_documents <= EXACT_DOCUMENTS
    return PairedTest(
        base=found.first.value,
        adapter=found.second.value,
        difference=found.difference.value,
        low=found.difference.low,
        high=found.difference.high,
        p_value=found.p_value,
        p_floor=found.p_floor,
        minimum_effect=least,
        detectable=found.detectable,
        documents=found.num_documents,
        better="neither",
        test="exact exchange test of documents"
        if exact
        else f"exchange test of documents, {EXCHANGES:,} exchanges",
        rivals=rivals,
        **about,
    )
