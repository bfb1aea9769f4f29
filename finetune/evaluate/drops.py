"""Scores on documents and cards that were held out as a whole, against those on single texts.

A text that was held out alone stands between texts of its document that are trained on. The scores
of the two kinds of items are of independent samples: each is resampled for itself, by documents
where it has enough of them.

Legend: N items, D documents or texts that are resampled, K statistics of an item, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.items import Item
from finetune.artefacts.other_documents import MIN_RESAMPLED, Drop, HeldOut, OtherDocuments
from finetune.artefacts.scores import subject
from finetune.evaluate.added import score_of
from finetune.evaluate.compare import Counted, documents_of
from finetune.spec.recipe import Evaluate
from finetune.spec.tables.metric import Metric, metric
from finetune.statistics.bootstrap import ScoreOfSums, interval_of, resampled_sums
from finetune.statistics.significance import by_document

Resampled = Mapping[str, NDArray[np.float64]]
"""By system: the score of the sample, then those of its resamples (1 + R)."""


def other_documents(found: Sequence[Counted], *, settings: Evaluate) -> list[OtherDocuments]:
    """Return the scores of a task on whole documents and cards, with the drop from single texts."""
    singles = {subject(one.pair.test): one for one in found if one.held_out is None}
    return [
        _compared(singles[subject(one.pair.test)], one, held_out=one.held_out, settings=settings)
        for one in found
        if one.held_out is not None and _is_claimed(metric(one.pair.test.metric))
    ]


def _is_claimed(row: Metric) -> bool:
    return row.is_judged and row.table == "scores"


def _compared(
    single: Counted, whole: Counted, *, held_out: HeldOut, settings: Evaluate
) -> OtherDocuments:
    score, names = score_of(metric(whole.pair.test.metric)), sources_of(whole.items)
    first = _scores(single, score=score, seed=settings.seed, resamples=settings.resamples)
    # another seed, since the samples are independent
    second = _scores(whole, score=score, seed=settings.seed + 1, resamples=settings.resamples)
    enough = len(set(names)) >= MIN_RESAMPLED
    return OtherDocuments(
        held_out,
        replace(whole.pair.test, better="neither", p_holm=None),
        len(set(names)),
        tuple(_drops(first, second)),
        "documents" if enough else "texts",
    )


def _drops(single: Resampled, whole: Resampled) -> Iterator[Drop]:
    for name in whole:
        if name not in single:
            continue
        one, two = single[name], whole[name]
        at = interval_of(float(two[0]), two[1:])
        drop = interval_of(float(two[0] - one[0]), two[1:] - one[1:])
        yield Drop(
            cast("Any", name),
            single=float(one[0]),
            whole=at.value,
            low=at.low,
            high=at.high,
            drop=drop.value,
            drop_low=drop.low,
            drop_high=drop.high,
        )


def _scores(found: Counted, *, score: ScoreOfSums, seed: int, resamples: int) -> Resampled:
    """Return the scores of the systems, of the items and of resamples of their documents."""
    names = sources_of(found.items)
    if len(set(names)) < MIN_RESAMPLED:
        names = documents_of(found.items)
    sums_DK = [by_document(each, names) for each in found.statistics.values()]
    drawn_RK = resampled_sums(tuple(sums_DK), resamples=resamples, seed=seed)
    return {
        name: np.concatenate([score(all_DK.sum(axis=0, keepdims=True)), score(some_RK)])
        for name, all_DK, some_RK in zip(found.statistics, sums_DK, drawn_RK, strict=True)
    }


def sources_of(items: Sequence[Any]) -> list[str]:
    """Return the document (file, book, sheet) that each item is of; one for all, if unknown."""
    return [item.document if isinstance(item, Item) else "" for item in items]
