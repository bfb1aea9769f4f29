"""Tasks and metrics as they are called: what a package adds is held to what its row promises.

A metric of ours is held to the same by its tests, and passes what the outputs of a model are: a
likelihood that is not a number stays one.

Legend: N items, K statistics of an item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finetune.artefacts.items import Item
from finetune.artefacts.job import Job
from finetune.errors import FinetuneError, RecipeError, first_line
from finetune.evaluate.outputs import Generation
from finetune.evaluate.parts import Part
from finetune.spec.tables.metric import METRICS, Metric, metric_origin
from finetune.spec.tables.task import Group, Task, task_origin
from finetune.statistics.bootstrap import ScoreOfSums


def groups_of(task: Task, job: Job, part: Part) -> tuple[Group, ...]:
    """Return the items that a task asks.

    Raises RecipeError if a group has none to score, or if items are to be generated for that are
    no `Item`: prompt, source and reference are written down and shown.
    """
    groups = tuple(task.groups(job, part))
    for group in groups:
        if group.is_scored and not len(group.items):
            raise _wrong_task(task, f"a group of {group.language} is scored and has no items")
        strange = [item for item in group.items if not isinstance(item, Item)]
        if task.gives is Generation and strange:
            raise _wrong_task(
                task,
                f"an item of {group.language} is a {type(strange[0]).__name__}, and what systems "
                "generate for is a finetune.artefacts.items.Item, with prompt, source and "
                "reference for the report",
            )
    return groups


def checked_outputs(
    task: Task, outputs: Sequence[Sequence[Any]], *, groups: Sequence[Group]
) -> Sequence[Sequence[Any]]:
    """Return what a system gave. Raises RecipeError unless there is one output for each item."""
    found, wanted = [len(given) for given in outputs], [len(group.items) for group in groups]
    if found != wanted:
        raise _wrong_task(
            task, f"its groups have {wanted} items, and the answers to them are {found}"
        )
    return outputs


def statistics_of(metric: Metric, outputs: Sequence[Any]) -> ArrayLike:
    """Return the statistics of N items (N, K).

    Raises RecipeError if a package's metric fails, or gives an array of another shape or numbers
    that are not finite.
    """
    if metric.name in METRICS:
        return metric.statistics(outputs)
    found = _array(metric, "statistics", lambda: metric.statistics(outputs))
    if found.ndim != 2 or len(found) != len(outputs) or not found.shape[1]:
        raise _wrong_metric(
            metric,
            f"its statistics of {len(outputs)} items have the shape {found.shape}, not "
            f"({len(outputs)}, K)",
        )
    return found


def score_of(metric: Metric) -> ScoreOfSums:
    """Return the function from sums of statistics (..., K) to scores (...).

    It raises RecipeError where `statistics_of` does.
    """
    if metric.name in METRICS:
        return metric.value

    def score(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        found = _array(metric, "value", lambda: metric.value(sums))
        if found.shape != sums.shape[:-1]:
            raise _wrong_metric(
                metric,
                f"its value of sums of the shape {sums.shape} has the shape {found.shape}, not "
                f"{sums.shape[:-1]}",
            )
        return found

    return score


def refuse_other_statistics(metric: Metric, base_NK: ArrayLike, adapter_NK: ArrayLike) -> None:
    """Raise RecipeError if a metric counts something else of the base than of the adapter."""
    shapes = np.shape(base_NK), np.shape(adapter_NK)
    if shapes[0] != shapes[1]:
        raise _wrong_metric(
            metric, f"its statistics are {shapes[0]} for the base and {shapes[1]} for the adapter"
        )


def _array(metric: Metric, function: str, call: Callable[[], Any]) -> NDArray[np.float64]:
    try:
        found = np.asarray(call(), dtype=np.float64)
    except FinetuneError:
        raise
    except Exception as error:  # whatever a package raises; the cause is shown with --verbose
        raise _wrong_metric(
            metric, f"its {function} failed with {type(error).__name__}: {first_line(error)}"
        ) from error
    if not np.isfinite(found).all():
        raise _wrong_metric(metric, f"its {function} gave numbers that are not finite (NaN, inf)")
    return found


def _wrong_metric(metric: Metric, what: str) -> RecipeError:
    return RecipeError(
        f"evaluate.metrics: {metric_origin(metric.name)}: {what}; take it out of the recipe, or "
        "tell the authors of the package. The trained adapter is kept"
    )


def _wrong_task(task: Task, what: str) -> RecipeError:
    return RecipeError(
        f"evaluate.tasks: {task_origin(task.name)}: {what}; take it out of the recipe, or tell the "
        "authors of the package. The trained adapter is kept"
    )
