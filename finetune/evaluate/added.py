"""Checked calls of tasks and metrics, including those of installed packages.

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
from finetune.messages import Place, Problem, Sentence, problem, sentence
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
            raise _wrong_task(
                task, sentence("a scored group of {language} has no items", language=group.language)
            )
        strange = [item for item in group.items if not isinstance(item, Item)]
        if task.gives is Generation and strange:
            raise _wrong_task(
                task,
                sentence(
                    "an item of {language} is a {type}, not a finetune.artefacts.items.Item with "
                    "prompt, source and reference",
                    language=group.language,
                    type=type(strange[0]).__name__,
                ),
            )
    return groups


def checked_outputs(
    task: Task, outputs: Sequence[Sequence[Any]], *, groups: Sequence[Group]
) -> Sequence[Sequence[Any]]:
    """Return the outputs of a system. RecipeError unless there is one output per item."""
    given, expected = [len(each) for each in outputs], [len(group.items) for group in groups]
    if given != expected:
        raise _wrong_task(
            task,
            sentence(
                "the number of items in its groups is {items}, but that of its outputs {outputs}",
                items=expected,
                outputs=given,
            ),
        )
    return outputs


def refuse_unkept(task: Task, error: Exception) -> RecipeError:
    """Return the error for outputs that cannot be written down."""
    return _wrong_task(
        task,
        sentence(
            "its outputs cannot be written as JSON ({why}); `gives` is to be a dataclass of "
            "numbers and texts",
            why=first_line(error),
        ),
    )


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
            sentence(
                "its statistics have the shape {shape}, not ({count}, K)",
                count=len(outputs),
                shape=str(found.shape),
            ),
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
                sentence(
                    "its value of sums of the shape {sums} has the shape {shape}, not {expected}",
                    sums=str(sums.shape),
                    shape=str(found.shape),
                    expected=str(sums.shape[:-1]),
                ),
            )
        return found

    return score


def refuse_other_statistics(metric: Metric, base_NK: ArrayLike, adapter_NK: ArrayLike) -> None:
    """Raise RecipeError if a metric counts something else of the base than of the adapter."""
    shapes = np.shape(base_NK), np.shape(adapter_NK)
    if shapes[0] != shapes[1]:
        raise _wrong_metric(
            metric,
            sentence(
                "its statistics have the shape {base} for the base and {adapter} for the adapter",
                base=str(shapes[0]),
                adapter=str(shapes[1]),
            ),
        )


def _array(metric: Metric, function: str, call: Callable[[], Any]) -> NDArray[np.float64]:
    try:
        found = np.asarray(call(), dtype=np.float64)
    except FinetuneError:
        raise
    except Exception as error:  # whatever a package raises; the cause is shown with --verbose
        raise _wrong_metric(
            metric,
            sentence(
                "its {function} failed with {error}: {why}",
                function=function,
                error=type(error).__name__,
                why=first_line(error),
            ),
        ) from error
    if not np.isfinite(found).all():
        raise _wrong_metric(
            metric,
            sentence("its {function} gave values that are not finite", function=function),
        )
    return found


def _wrong_metric(metric: Metric, what: Sentence) -> RecipeError:
    return RecipeError(
        _wrong_package(
            "metric-of-package-failed", metric_origin(metric.name), what, key="evaluate.metrics"
        )
    )


def _wrong_task(task: Task, what: Sentence) -> RecipeError:
    return RecipeError(
        _wrong_package("task-of-package-failed", task_origin(task.name), what, key="evaluate.tasks")
    )


def _wrong_package(code: str, origin: str, what: Sentence, *, key: str) -> Problem:
    return problem(
        code,
        "{origin}: {what}; remove it from the recipe, or report it to the authors of the package. "
        "The trained adapter is kept",
        at=Place(key=key),
        origin=origin,
        what=what,
    )
