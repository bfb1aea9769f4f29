"""Contract of every row of the tables of metrics, tasks and exports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from finetune.errors import RecipeError
from finetune.evaluate.outputs import Answer, Divergence, Generation, Likelihood, SourceUse
from finetune.spec.recipe import Evaluate
from finetune.spec.tables.export_format import EXPORTS, IN_RELEASE, export_format
from finetune.spec.tables.metric import METRICS, VALIDATED, VALIDATION, metric
from finetune.spec.tables.task import ALWAYS, CONTROLS, TASKS, asked, task
from tests.support.problems import raises
from tests.support.syntax import tree_of

HOUSE = Path(__file__).parents[3] / "finetune"
OUTPUTS: dict[type, list[Any]] = {
    Likelihood: [Likelihood(12.5, 10), Likelihood(3.0, 4), Likelihood(40.0, 25)],
    Generation: [
        Generation("Ina kwana?", "Ina kwana?", "Good morning"),
        Generation("", "Na gode ƙwarai.", "Thank you"),
        Generation("Sai an jima", "", None),
    ],
    SourceUse: [SourceUse(4.0, 5.0, 7, 1.5), SourceUse(3.0, 2.0, 4, -1.0), SourceUse(9, 9, 3, 0)],
    Divergence: [Divergence(0.5, 12), Divergence(0.0, 1), Divergence(7.25, 64)],
    Answer: [Answer(1.0), Answer(0.0), Answer(1.0)],
}
"""Outputs of each kind; a metric that takes another kind needs some here."""


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_metric_adds_up(name: str) -> None:
    """Statistics are a row of finite numbers per item; any resample of items has a score."""
    row = metric(name)
    outputs = OUTPUTS[row.takes]
    statistics = row.statistics(outputs)
    assert statistics.dtype == np.float64
    assert statistics.ndim == 2
    assert len(statistics) == len(outputs)
    assert np.isfinite(statistics).all()
    for item in range(len(outputs)):
        np.testing.assert_array_equal(row.statistics(outputs[item : item + 1])[0], statistics[item])
    draws = np.random.default_rng(0).integers(len(outputs), size=(20, len(outputs)))
    scores = row.value(statistics[draws].sum(axis=1))
    assert scores.shape == (20,)
    assert np.isfinite(scores).all()
    assert scores[0] == row.value(statistics[draws[0]].sum(axis=0))


def test_rows_of_metrics_differ() -> None:
    """No two have one label or Hub id, and each row has what people are shown."""
    rows = [metric(name) for name in METRICS]
    for words in ({row.label for row in rows}, {row.hub_id for row in rows}):
        assert len(words) == len(rows)
    assert all(row.about and row.signed("a:b") for row in rows)
    assert VALIDATION in METRICS
    assert not metric(VALIDATION).higher_is_better  # training keeps the lowest


def test_fields_of_validations_on_disk_are_those_of_old_artefacts() -> None:
    """Trainings in a store are read by these names."""
    assert (VALIDATION, VALIDATED) == ("bits_per_byte", "validation_bits_per_byte")


def test_a_label_with_capitals_of_its_own_keeps_them_at_the_start_of_a_sentence() -> None:
    """`bits per byte` becomes `Bits per byte`, `chrF++` stays."""
    assert [metric(n).heading for n in ("bits_per_byte", "chrf++")] == ["Bits per byte", "chrF++"]


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_has_metrics_that_fit_it(name: str) -> None:
    """Each metric of a task takes what its systems give."""
    row = task(name)
    assert row.metrics or row.fitting(("exact_match",)) == ()
    assert all(one.takes is row.gives for one in row.fitting(()))


def test_a_recipe_adds_to_what_is_always_asked() -> None:
    """A metric goes to each task that gives what it takes; without one nothing is added."""
    plain = {row.name: [m.name for m in metrics] for row, metrics in asked((), ())}
    assert list(plain) == [*ALWAYS, *CONTROLS]
    added = {row.name: [m.name for m in metrics] for row, metrics in asked((), ["exact_match"])}
    assert added == plain | {"translation": [*plain["translation"], "exact_match"]}
    with pytest.raises(ValidationError) as caught:
        Evaluate(metrics=["exact_mach"])
    [found] = caught.value.errors()[0]["ctx"]["error"].problems
    assert found.code == "unknown-extension"
    assert found.facts["name"] == "exact_mach"


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_an_export_says_what_it_writes(name: str) -> None:
    """A row says so in a line; what a release needs of it is among the files that it may write."""
    row = export_format(name)
    assert row.about
    assert set(row.required) <= set(row.files)
    assert bool(row.files) == (name in IN_RELEASE)


def test_a_descriptor_of_another_table_is_refused() -> None:
    """A name leads to a row of its own table or to an error that names it."""
    from finetune.spec.entry_points import described
    from finetune.spec.tables.task import Task

    with raises(RecipeError, code="package-without-row", at="finetune.tasks", name="x"):
        described("x", Task, group="finetune.tasks", known={"x": METRICS["chrf++"]})


def test_no_metric_is_named_outside_its_row() -> None:
    """Code, labels and Hub ids of metrics stand in their rows and in the tasks that they score."""
    rows = [metric(name) for name in METRICS]
    words = {w for row in rows for w in (row.name, row.label, row.heading, row.hub_id, row.unit)}
    words |= {VALIDATED}
    # `__init__.py` has a function of the Python API with the name of a metric, task_file.py the
    # metrics of lm-evaluation-harness
    own = ("__init__.py", "evaluate/metrics/", "evaluate/tasks/", "spec/tables/metric.py")
    own += ("spec/task_file.py",)
    own += ("report/said.py", "report/report_words.py")  # sentences, which are translated
    own += ("artefacts/gates/", "spec/sections/gates.py")  # names of gates, one that of its metric
    found = []
    for path in sorted(HOUSE.rglob("*.py")):
        name = path.relative_to(HOUSE).as_posix()
        if name.startswith(own):
            continue
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Constant) and node.value in words - {""}:
                found.append(f"{name}:{node.lineno}: {node.value!r}")
    for path in sorted(HOUSE.rglob("*.j2")):
        text = path.read_text("utf-8").lower()
        found += [f"{path.name}: {row.label!r}" for row in rows if row.label.lower() in text]
    assert not found


def test_the_tables_are_light() -> None:
    """Looking for a name imports no metric and nothing heavy."""
    code = (
        "import sys, finetune.spec.tables.task, finetune.spec.tables.export_format; "
        "print([m for m in ('numpy', 'torch', 'finetune.evaluate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_a_table_of_scores_needs_is_without_torch() -> None:
    """Rows of metrics, tasks and exports are read without loading what trains or evaluates."""
    code = (
        "import sys\n"
        "from finetune.spec.tables.export_format import EXPORTS, export_format\n"
        "from finetune.spec.tables.metric import METRICS, metric\n"
        "from finetune.spec.tables.task import TASKS, task\n"
        "rows = [*map(metric, METRICS), *map(task, TASKS), *map(export_format, EXPORTS)]\n"
        "print(len(rows), [m for m in ('torch', 'transformers', 'sacrebleu') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:] == ["[]"]


@pytest.mark.parametrize("name", ["chrf", "end_mark_bits", "repetition_rate"])
def test_a_minimum_effect_is_of_a_metric_that_is_computed_and_judged(name: str) -> None:
    """A name with a typing error, or of a metric that decides nothing, is refused."""
    with pytest.raises(ValidationError, match=f"'{name}' is no metric"):
        Evaluate(minimum_effect={name: 2})
    Evaluate(minimum_effect={"exact_match": 0.1, "chrf++": 2}, metrics=["exact_match"])
