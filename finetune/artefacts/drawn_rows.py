"""Rows that a training run draws: of an epoch, with a mixture, and after a number of steps.

N rows of a split.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.job import Job
from finetune.artefacts.mixed_order import MixedOrder, RowGroup
from finetune.artefacts.order import times_drawn
from finetune.artefacts.packed_split import subsets_of
from finetune.artefacts.prepared_items import PreparedItems
from finetune.errors import RecipeError
from finetune.messages import Place
from finetune.mix.allocate import Group
from finetune.mix.mixture_plan import (
    MixturePlan,
    groups_of,
    plan_mixture,
    replayed_subsets,
    rows_of_an_epoch,
)
from finetune.spec.sections.training import total_steps
from finetune.spec.yaml_file import shown


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


def times_of(
    split: PreparedItems, order: MixedOrder | None, *, seed: int, rows: int
) -> NDArray[np.int64]:
    """Return how often each row is among the first `rows` of a run."""
    if order is not None:
        return order.times_drawn(rows, num_rows=split.num_rows)
    return times_drawn(seed, rows, num_rows=split.num_rows)


def rows_seen(job: Job, split: PreparedItems, *, steps: int | None = None) -> NDArray[np.int64]:
    """Return the rows that the training of the job's phase drew; `steps` as in `times_seen`."""
    return np.flatnonzero(times_seen(job, split, steps=steps))


def times_seen(job: Job, split: PreparedItems, *, steps: int | None = None) -> NDArray[np.int64]:
    """Return how often the training of the job's phase drew each row in its first `steps` steps.

    None: in all steps that were planned. Shape (N,).
    """
    train = job.phase.train
    each = train.rows_per_step(split.sequence_tokens)
    planned = total_steps(train, num_rows=rows_of_epoch(job, split), rows_per_step=each)
    plan = plan_of(job, split, steps=planned)
    order = None if plan is None else order_of(plan, split, seed=train.seed)
    rows = each * (planned if steps is None else steps)
    return times_of(split, order, seed=train.seed, rows=rows)
