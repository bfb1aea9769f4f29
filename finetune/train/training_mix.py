"""The mix of a training: its order of rows, and what of each language it has seen in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.job import Job
from finetune.artefacts.packed_split import cells_of
from finetune.artefacts.prepared_items import PreparedItems
from finetune.errors import RecipeError
from finetune.mix.allocate import Group
from finetune.mix.mixture import (
    MixPlan,
    Stretch,
    groups_of,
    plan_mix,
    replayed_cells,
    rows_of_an_epoch,
)
from finetune.spec.text import shown
from finetune.train.mixed_order import MixedOrder, RowGroup
from finetune.train.order import times_drawn


def rows_of_epoch(job: Job, split: PreparedItems) -> int:
    """Return the rows of one pass, on which the number of steps of `epochs` depends."""
    mix = job.phase.mixing
    if mix is None:
        return split.num_rows
    replayed = replayed_cells(job.phase.corpora, job.cards)
    groups = groups_of(cells_of(split), mix=mix, replayed=replayed)
    return rows_of_an_epoch(job.phase, job.cards, groups)


def plan_of(job: Job, split: PreparedItems, *, steps: int) -> MixPlan | None:
    """Return the mix of a training, or None without one. RecipeError if it cannot be had."""
    if job.phase.mixing is None:
        return None
    plan = plan_mix(
        job.phase, job.cards, cells_of(split), steps=steps, row_tokens=split.sequence_tokens
    )
    if plan.problems:
        raise RecipeError(*(f"{shown(path)}: {why}" for path, why in plan.problems))
    return plan


def order_of(plan: MixPlan, split: PreparedItems, *, seed: int) -> MixedOrder:
    """Return the order in which the rows of a split are drawn."""
    documents_D = split.documents_D
    what = "length" if plan.mix.unit == "tokens" else "supervised_bytes"
    units_N = np.bincount(
        documents_D["row"], weights=documents_D[what], minlength=split.num_rows
    ).astype(np.int64)  # sums of integers below 2**53 are exact
    cell_N = np.zeros((split.num_rows, 2), dtype=np.int64)
    cell_N[documents_D["row"], 0] = documents_D["language"]
    cell_N[documents_D["row"], 1] = documents_D["card"]
    groups = []
    for group in plan.groups:
        rows_N = np.flatnonzero(_inside(cell_N, split, group))
        groups.append(RowGroup(group.label, rows_N, np.maximum(units_N[rows_N], 1)))
    return MixedOrder(seed, groups=groups, stretches=plan.stretches)


def _inside(cell_N: NDArray[np.int64], split: PreparedItems, group: Group) -> NDArray[np.bool_]:
    """Say of each row whether it belongs to a group."""
    found = np.zeros(len(cell_N), dtype=bool)
    for cell in group.cells:
        pair = (split.languages.index(cell.language), split.cards.index(cell.card))
        found |= (cell_N == pair).all(axis=1)
    return found


def recorded(plan: MixPlan | None) -> dict[str, Any] | None:
    """Return a mix for the manifest: settings, weights of each stretch, and what was planned."""
    if plan is None:
        return None
    return {
        "settings": plan.mix.model_dump(mode="json"),
        "groups": [group.label for group in plan.groups],
        "stretches": [asdict(stretch) for stretch in plan.stretches],
        "planned": [asdict(portion) for portion in plan.portions],
        "notes": list(plan.notes),
    }


def same_until(plan: MixPlan | None, stored: Mapping[str, Any] | None, *, row: int) -> bool:
    """Say whether a recorded mix has drawn the rows before `row` as this one would."""
    if plan is None or stored is None:
        return plan is None and stored is None
    mine = _shares_until(plan.stretches, row)
    theirs = [Stretch(s["end"], tuple(s["weights"])) for s in stored["stretches"]]
    labels = [group.label for group in plan.groups]
    return stored["groups"] == labels and mine == _shares_until(theirs, row)


def _shares_until(stretches: Sequence[Stretch], row: int) -> list[tuple[int, tuple[int, ...]]]:
    found: list[tuple[int, tuple[int, ...]]] = []
    for number, stretch in enumerate(stretches):
        last = number + 1 == len(stretches)
        end = row if last else min(row, stretch.end)
        if end > (found[-1][0] if found else 0):
            found.append((end, stretch.weights))
    return found


def seen(
    job: Job, split: PreparedItems, order: MixedOrder | None, *, rows: int
) -> list[dict[str, Any]]:
    """Return what the first `rows` rows of a training hold of each language and card.

    `tokens` counts repetitions, `unique_tokens` does not; `epochs` is how often a token was seen on
    average.
    """
    times_N = _times(split, order, seed=job.phase.train.seed, rows=rows)
    replayed = replayed_cells(job.phase.corpora, job.cards)
    documents_D = split.documents_D
    times_D, length_D = times_N[documents_D["row"]], documents_D["length"].astype(np.int64)
    found = []
    for cell in cells_of(split):
        inside = (documents_D["language"] == split.languages.index(cell.language)) & (
            documents_D["card"] == split.cards.index(cell.card)
        )
        tokens = int((length_D * times_D)[inside].sum())
        found.append(
            {
                "language": cell.language,
                "card": cell.card,
                "replay": (cell.language, cell.card) in replayed,
                "tokens": tokens,
                "unique_tokens": int((length_D * (times_D > 0))[inside].sum()),
                "epochs": round(tokens / cell.tokens, 4),
            }
        )
    return found


def seen_before(job: Job) -> list[list[dict[str, Any]]]:
    """Return what the phases before this one recorded as seen, in order."""
    start = job.inputs.get("start")
    if start is None or "seen" not in start.result:
        return []
    return [*start.result.get("seen_before", ()), start.result["seen"]]


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
    """Return how often each row is among the first `rows` of a training."""
    if order is not None:
        return order.times_drawn(rows, num_rows=split.num_rows)
    return times_drawn(seed, rows, num_rows=split.num_rows)
