"""A task or a metric of a package that breaks its promise is named, with what was wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.artefacts.verdicts import judged
from finetune.errors import RecipeError, Stopped
from finetune.evaluate.added import checked_outputs, groups_of
from finetune.evaluate.compare import Subject, pair_of
from finetune.evaluate.outputs import Generation, Likelihood
from finetune.spec.recipe import Evaluate
from finetune.spec.tables.metric import Metric, metric
from finetune.spec.tables.task import Group, Task, task
from tests.support.installed_package import install

OUTPUTS = [Generation("na gode", "na gode", None)] * 3
SUBJECT = Subject("hau_Latn", None, None, "signature")


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that adds the metric and the task `added`."""
    added = {"added": "toy:X"}
    install(tmp_path, "toy-scores", {"finetune.metrics": added, "finetune.tasks": added})
    monkeypatch.syspath_prepend(tmp_path)


def _compared(**functions: Callable[..., Any]) -> None:
    row: Metric = replace(metric("exact_match"), name="added", **functions)
    outputs = {"base": OUTPUTS, "adapter": OUTPUTS}
    pair_of(row, outputs, [1, 2, 3], subject=SUBJECT, settings=Evaluate(resamples=100))


def _fails(_: Any) -> Any:
    raise KeyError("no such word")


@pytest.mark.parametrize(
    ("functions", "of_problem"),
    [
        ({"statistics": _fails}, {"function": "statistics", "error": "KeyError"}),
        ({"statistics": lambda _: "abc"}, {"function": "statistics", "error": "ValueError"}),
        ({"statistics": lambda o: [0.5] * len(o)}, {"count": 3, "shape": "(3,)"}),
        ({"statistics": lambda _: [[1, 2]]}, {"shape": "(1, 2)"}),
        ({"statistics": lambda o: [[np.nan, 1]] * len(o)}, {"function": "statistics"}),
        ({"value": _fails}, {"function": "value", "error": "KeyError"}),
        ({"value": lambda _: 0.5}, {"shape": "()", "expected": "(100,)"}),
        ({"value": lambda sums: sums[..., 0] * np.inf}, {"function": "value"}),
    ],
)
def test_a_metric_that_fails_is_named_with_its_package(
    functions: dict[str, Callable[..., Any]], of_problem: dict[str, Any]
) -> None:
    """Exceptions, other shapes, NaN: one sentence, and what to do."""
    with pytest.raises(RecipeError) as caught:
        _compared(**functions)
    assert caught.value.codes == ("metric-of-package-failed",)
    facts = caught.value.problems[0].facts
    assert facts["origin"] == "added of toy-scores 1.2"
    assert dict(facts["what"].facts).items() >= of_problem.items()


def test_a_metric_that_counts_something_else_for_each_system_is_named() -> None:
    """As many statistics for the base as for the adapter."""
    counted = iter((2, 3))
    with pytest.raises(RecipeError) as refused:
        _compared(statistics=lambda o: np.ones((len(o), next(counted))))
    facts = refused.value.problems[0].facts["what"].facts
    assert (facts["base"], facts["adapter"]) == ("(3, 2)", "(3, 3)")


def test_a_stop_within_a_metric_stays_a_stop() -> None:
    """Errors of this program are not blamed on the package."""

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
            {"base": outputs, "adapter": outputs},
            [1, 2, 3],
            subject=SUBJECT,
            settings=Evaluate(resamples=100),
        ).pair
    assert np.isnan(pair.adapter.value)
    assert judged([replace(pair, test=replace(pair.test, n=90))])[0].test.better == "neither"


def _task(items: list[Any], **changes: Any) -> Task:
    groups = [Group(language="hau_Latn", items=items)]
    return replace(task("translation"), name="added", groups=lambda *_: groups, **changes)


def test_a_generating_task_gives_items_of_the_report() -> None:
    """Before anything is generated, a task whose items have no prompt to show is named."""
    job: Any = None
    with pytest.raises(RecipeError) as refused:
        groups_of(_task([("prompt", "answer")]), job, job)
    assert refused.value.codes == ("task-of-package-failed",)
    facts = refused.value.problems[0].facts["what"].facts
    assert dict(facts) == {"language": "hau_Latn", "type": "tuple"}
    assert groups_of(_task([("prompt",)], gives=Likelihood), job, job)[0].items == [("prompt",)]


def test_a_task_has_items_to_score_and_an_answer_to_each() -> None:
    """An empty group and missing answers are reported with the task's name."""
    job: Any = None
    with pytest.raises(RecipeError) as refused:
        groups_of(_task([]), job, job)
    assert refused.value.codes == ("task-of-package-failed",)
    groups = [Group(language="hau_Latn", items=[1, 2])]
    with pytest.raises(RecipeError) as refused:
        checked_outputs(_task([]), [["one"]], groups=groups)
    facts = refused.value.problems[0].facts["what"].facts
    assert (facts["items"], facts["outputs"]) == ((2,), (1,))
    assert checked_outputs(_task([]), [["one", "two"]], groups=groups) == [["one", "two"]]
