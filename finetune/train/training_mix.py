"""The data mixture of a training run: data order, and tokens seen of each language."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetune.artefacts.drawn_rows import times_of
from finetune.artefacts.job import Job
from finetune.artefacts.mixed_order import MixedOrder
from finetune.artefacts.packed_split import subsets_of
from finetune.artefacts.prepared_items import PreparedItems
from finetune.artefacts.results import RecordedMixture, Seen, TrainResult, read_result
from finetune.mix.mixture_plan import (
    Interval,
    MixturePlan,
    replayed_subsets,
)


def recorded(plan: MixturePlan | None) -> RecordedMixture | None:
    """Return a mixture for the manifest: settings, weights of each interval, planned amounts."""
    if plan is None:
        return None
    return RecordedMixture(
        settings=plan.mixture.model_dump(mode="json"),
        groups=tuple(group.label for group in plan.groups),
        intervals=tuple(plan.intervals),
        planned=tuple(plan.drawn),
        notes=tuple(map(str, plan.notes)),
    )


def same_until(plan: MixturePlan | None, stored: RecordedMixture | None, *, row: int) -> bool:
    """Return whether a recorded mixture drew the sequences before `row` as this one would."""
    if plan is None or stored is None:
        return plan is None and stored is None
    mine = _shares_until(plan.intervals, row)
    labels = tuple(group.label for group in plan.groups)
    return stored.groups == labels and mine == _shares_until(stored.intervals, row)


def _shares_until(intervals: Sequence[Interval], row: int) -> list[tuple[int, tuple[int, ...]]]:
    found: list[tuple[int, tuple[int, ...]]] = []
    for number, interval in enumerate(intervals):
        last = number + 1 == len(intervals)
        end = row if last else min(row, interval.end)
        if end > (found[-1][0] if found else 0):
            found.append((end, interval.weights))
    return found


def seen(
    job: Job, split: PreparedItems, order: MixedOrder | None, *, rows: int
) -> tuple[Seen, ...]:
    """Return what the first `rows` rows of a training hold of each language and card.

    `tokens` counts repetitions, `unique_tokens` does not; `epochs` is how often a token was seen on
    average.
    """
    times_N = times_of(split, order, seed=job.phase.train.seed, rows=rows)
    replayed = replayed_subsets(job.phase.corpora, job.cards)
    documents_D = split.documents_D
    times_D, length_D = times_N[documents_D["row"]], documents_D["length"].astype(np.int64)
    found = []
    for subset in subsets_of(split):
        inside = (documents_D["language"] == split.languages.index(subset.language)) & (
            documents_D["card"] == split.cards.index(subset.card)
        )
        tokens = int((length_D * times_D)[inside].sum())
        found.append(
            Seen(
                language=subset.language,
                card=subset.card,
                replay=(subset.language, subset.card) in replayed,
                tokens=tokens,
                unique_tokens=int((length_D * (times_D > 0))[inside].sum()),
                epochs=round(tokens / subset.tokens, 4),
            )
        )
    return tuple(found)


def seen_before(job: Job) -> tuple[tuple[Seen, ...], ...]:
    """Return what the phases before this one recorded as seen, in order."""
    start = job.inputs.get("start")
    result = None if start is None else read_result(start, TrainResult)
    if result is None or result.seen is None:
        return ()
    return (*result.seen_before, result.seen)


def steps_before(job: Job) -> tuple[int, ...]:
    """Return the steps of the phases before this one, in order."""
    start = job.inputs.get("start")
    if start is None:
        return ()
    result = read_result(start, TrainResult)
    return (*result.steps_before, result.steps)


def epochs_by_language(
    split: PreparedItems, order: MixedOrder | None, *, seed: int, rows: int
) -> dict[str, float]:
    """Return how often the text of each language has been seen on average after `rows` rows."""
    times_N = times_of(split, order, seed=seed, rows=rows)
    documents_D = split.documents_D
    length_D = documents_D["length"].astype(np.float64)
    drawn_L, there_L = (
        np.bincount(documents_D["language"], weights=w, minlength=len(split.languages))
        for w in (length_D * times_N[documents_D["row"]], length_D)
    )
    return {
        language: round(float(drawn / there), 4)
        for language, drawn, there in zip(split.languages, drawn_L, there_L, strict=True)
        if there
    }
