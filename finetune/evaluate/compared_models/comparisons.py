"""Comparisons of other models with the adapter, beside what is claimed of base and adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.job import Job
from finetune.artefacts.model_comparisons import ModelComparison
from finetune.artefacts.results import BaseResult, read_result
from finetune.evaluate.added import score_of, statistics_of
from finetune.evaluate.compare import Asked, Counted, Outputs, by_item, documents_of
from finetune.spec.sections.compared_model import role_of
from finetune.spec.tables.metric import metric
from finetune.statistics.significance import compare


def with_models(
    job: Job, asked: Asked, counted: Sequence[Counted], answers: Mapping[str, Sequence[Outputs]]
) -> tuple[list[Counted], list[ModelComparison]]:
    """Return pairs with the statistics of other models beside them, and the comparisons.

    `answers`: of each model to the task, part by part. Of judged metrics, on the items that were
    held out alone; scores and test of base and adapter stay as they are.
    """
    found: list[ModelComparison] = []
    widened = list(counted)
    for name, by_part in answers.items():
        outputs = by_item(asked, by_part)
        for number, one in enumerate(widened):
            if one.held_out is not None or not metric(one.pair.test.metric).is_judged:
                continue
            mine = [outputs.get(id(item)) for item in one.items]
            if any(output is None for output in mine):
                continue
            statistics = np.asarray(statistics_of(metric(one.pair.test.metric), mine), np.float64)
            found.append(_compared(job, name, one, statistics))
            beside = {**one.statistics, role_of(name): statistics}
            widened[number] = replace(one, statistics=beside)
    return widened, found


def _compared(
    job: Job, name: str, counted: Counted, statistics_NK: NDArray[np.float64]
) -> ModelComparison:
    settings, row = job.recipe.evaluate, metric(counted.pair.test.metric)
    test = compare(
        statistics_NK,
        counted.statistics["adapter"],
        documents=documents_of(counted.items),
        score=score_of(row),
        resamples=settings.resamples,
        seed=settings.seed,
    )
    model = read_result(job.inputs[role_of(name)], BaseResult)
    return ModelComparison(
        model=name,
        hub_id=model.hub_id,
        revision=model.revision,
        licence=model.licence or "",
        low=test.first.low,
        high=test.first.high,
        test=replace(
            counted.pair.test,
            base=test.first.value,
            difference=test.difference.value,
            low=test.difference.low,
            high=test.difference.high,
            p_value=test.p_value,
            p_floor=test.p_floor,
            p_holm=None,
            minimum_effect=0.0,
            detectable=test.detectable,
            better="neither",
            rivals=(),
        ),
    )
