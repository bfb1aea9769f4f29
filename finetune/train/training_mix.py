"""The data mixture of a training run: data order, and tokens seen of each language."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.job import Job
from finetune.artefacts.packed_split import subsets_of
from finetune.artefacts.prepared_items import PreparedItems
from finetune.artefacts.results import RecordedMixture, Seen, TrainResult, read_result
from finetune.errors import RecipeError
from finetune.messages import Place
from finetune.mix.allocate import Group
from finetune.mix.mixture_plan import (
    Interval,
    MixturePlan,
    groups_of,
    plan_mixture,
    replayed_subsets,
    rows_of_an_epoch,
)
from finetune.spec.yaml_file import shown
from finetune.train.mixed_order import MixedOrder, RowGroup
from finetune.train.order import times_drawn


def rows_of_epoch(job: Job, split: PreparedItems) -> int:
    """Return the rows of one pass, on which the number of steps of `epochs` depends."""
    mixture = job.phase.active_mixture
    if mixture is None:
        return split.num_rows
    replayed = replayed_subsets(job.phase.corpora, job.cards)
    groups = groups_of(subsets_of(split), mixture=mixture, replayed=replayed)
    return rows_of_an_epoch(job.phase, job.cards, groups)


def plan_of(job: Job, split: PreparedItems, *, steps: int) -> MixturePlan | None:
    """Return the mixture of a run, or None without one. RecipeError if it is impossible."""
    if job.phase.active_mixture is None:
        return None
    plan = plan_mixture(
        job.phase, job.cards, subsets_of(split), steps=steps, row_tokens=split.sequence_tokens
    )
    if plan.problems:
        raise RecipeError(*(why.at(Place(key=shown(path))) for path, why in plan.problems))
    return plan


def order_of(plan: MixturePlan, split: PreparedItems, *, seed: int) -> MixedOrder:
    """Return the order in which the rows of a split are drawn."""
    documents_D = split.documents_D
    what = "length" if plan.mixture.unit == "tokens" else "supervised_bytes"
    units_N = np.bincount(
        documents_D["row"], weights=documents_D[what], minlength=split.num_rows
    ).astype(np.int64)  # sums of integers below 2**53 are exact
    subset_N = np.zeros((split.num_rows, 2), dtype=np.int64)
    subset_N[documents_D["row"], 0] = documents_D["language"]
    subset_N[documents_D["row"], 1] = documents_D["card"]
    groups = []
    for group in plan.groups:
        rows_N = np.flatnonzero(_inside(subset_N, split, group))
        groups.append(RowGroup(group.label, rows_N, np.maximum(units_N[rows_N], 1)))
    return MixedOrder(seed, groups=groups, intervals=plan.intervals)


def _inside(subset_N: NDArray[np.int64], split: PreparedItems, group: Group) -> NDArray[np.bool_]:
    """Say of each row whether it belongs to a group."""
    found = np.zeros(len(subset_N), dtype=bool)
    for subset in group.subsets:
        pair = (split.languages.index(subset.language), split.cards.index(subset.card))
        found |= (subset_N == pair).all(axis=1)
    return found


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
    times_N = _times(split, order, seed=job.phase.train.seed, rows=rows)
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


def epochs_by_language(
    split: PreparedItems, order: MixedOrder | None, *, seed: int, rows: int
) -> dict[str, float]:
    """Return how often the text of each language has been seen on average after `rows` rows."""
    times_N = _times(split, order, seed=seed, rows=rows)
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


def _times(
    split: PreparedItems, order: MixedOrder | None, *, seed: int, rows: int
) -> NDArray[np.int64]:
    """Return how often each row is among the first `rows` of a run."""
    if order is not None:
        return order.times_drawn(rows, num_rows=split.num_rows)
    return times_drawn(seed, rows, num_rows=split.num_rows)
