"""A task or a metric of a package that breaks its promise is named, with what was wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from finetune.errors import RecipeError, Stopped
from finetune.evaluate.added import checked_outputs, groups_of
from finetune.evaluate.compare import Subject, pair_of
from finetune.evaluate.outputs import Generation, Likelihood
from finetune.spec import entry_points
from finetune.spec.recipe import Evaluate
from finetune.spec.tables.metric import Metric, metric
from finetune.spec.tables.task import Group, Task, task

OUTPUTS = [Generation("na gode", "na gode", None)] * 3
SUBJECT = Subject("hau_Latn", None, None, "signature")


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that adds the metric and the task `added`."""
    point = SimpleNamespace(
        name="added", value="toy:X", dist=SimpleNamespace(name="toy-scores", version="1.2")
    )
    monkeypatch.setattr(entry_points, "entry_points", lambda **_: [point])


def _compared(**functions: Callable[..., Any]) -> None:
    row: Metric = replace(metric("exact_match"), name="added", **functions)
    pair_of(row, OUTPUTS, OUTPUTS, subject=SUBJECT, settings=Evaluate(resamples=100))


def _fails(_: Any) -> Any:
    raise KeyError("no such word")


@pytest.mark.parametrize(
    ("functions", "says"),
    [
        ({"statistics": _fails}, "its statistics failed with KeyError: 'no such word'"),
        ({"statistics": lambda _: "abc"}, "its statistics failed with ValueError"),
        ({"statistics": lambda o: [0.5] * len(o)}, r"3 items have the shape \(3,\), not \(3, K\)"),
        ({"statistics": lambda _: [[1, 2]]}, r"have the shape \(1, 2\)"),
        ({"statistics": lambda o: [[np.nan, 1]] * len(o)}, "its statistics gave numbers that are"),
        ({"value": _fails}, "its value failed with KeyError"),
        ({"value": lambda _: 0.5}, r"has the shape \(\), not \(100,\)"),
        (
            {"value": lambda sums: sums[..., 0] * np.inf},
            "its value gave numbers that are not finite",
        ),
    ],
)
def test_a_metric_that_fails_is_named_with_its_package(
    functions: dict[str, Callable[..., Any]], says: str
) -> None:
    """Exceptions, other shapes, NaN: one sentence, and what to do."""
    with pytest.raises(RecipeError, match=r"added of toy-scores 1\.2: .*" + says) as caught:
        _compared(**functions)
    assert "take it out of the recipe" in str(caught.value)


def test_a_metric_that_counts_something_else_for_each_system_is_named() -> None:
    """As many statistics for the base as for the adapter."""
    counted = iter((2, 3))
    with pytest.raises(
        RecipeError, match=r"added of toy-scores.*\(3, 2\) for the base and \(3, 3\)"
    ):
        _compared(statistics=lambda o: np.ones((len(o), next(counted))))


def test_a_stop_within_a_metric_stays_a_stop() -> None:
    """What this program raises itself is not taken for the package's mistake."""

    def stopped(_: Any) -> Any:
        raise Stopped("as asked")

    with pytest.raises(Stopped):
        _compared(statistics=stopped)


def test_a_likelihood_that_is_no_number_is_shown_by_our_metrics() -> None:
    """A model that gives NaN is not the metric's mistake: the score is NaN, as it was."""
    outputs = [Likelihood(float("nan"), 4)] * 3
    with np.errstate(invalid="ignore"):
        pair = pair_of(
            metric("bits_per_byte"),
            outputs,
            outputs,
            subject=SUBJECT,
            settings=Evaluate(resamples=100),
        )
    assert np.isnan(pair.adapter.value)


def _task(items: list[Any], **changes: Any) -> Task:
    groups = [Group(language="hau_Latn", items=items)]
    return replace(task("translation"), name="added", groups=lambda *_: groups, **changes)


def test_a_generating_task_gives_items_of_the_report() -> None:
    """Before anything is generated, a task whose items have no prompt to show is named."""
    job: Any = None
    with pytest.raises(
        RecipeError, match=r"added of toy-scores 1\.2: an item of hau_Latn is a tuple.*items\.Item"
    ):
        groups_of(_task([("prompt", "answer")]), job, job)
    assert groups_of(_task([("prompt",)], gives=Likelihood), job, job)[0].items == [("prompt",)]


def test_a_task_has_items_to_score_and_an_answer_to_each() -> None:
    """An empty group and missing answers are told with the task's name."""
    job: Any = None
    with pytest.raises(RecipeError, match=r"added of toy-scores.*is scored and has no items"):
        groups_of(_task([]), job, job)
    groups = [Group(language="hau_Latn", items=[1, 2])]
    with pytest.raises(RecipeError, match=r"have \[2\] items, and the answers to them are \[1\]"):
        checked_outputs(_task([]), [["one"]], groups=groups)
    assert checked_outputs(_task([]), [["one", "two"]], groups=groups) == [["one", "two"]]
