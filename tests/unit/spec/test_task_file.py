"""Tasks of lm-evaluation-harness: names, YAML files, and what is refused."""

from pathlib import Path

import pytest

from finetune.errors import RecipeError
from finetune.spec.tables.task import added_origins, asked, task, task_of
from finetune.spec.task_file import read_task_file
from tests.support.problems import raises

TASK = """\
task: quiz_wol
dataset_path: org/quiz
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list: [{metric: acc}]
metadata: {language: wol_Latn}
"""


def written(folder: Path, text: str = TASK, name: str = "quiz.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_name_of_the_harness_is_a_task() -> None:
    """Its row has an accuracy, its data set for the card, and version and name in the key."""
    row = task("belebele_wol_Latn")
    assert (row.metrics, row.dataset) == (("task_accuracy",), "facebook/belebele wol_Latn")
    assert added_origins(["belebele_wol_Latn"], []) == {
        "tasks": ["belebele_wol_Latn of lm_eval 0.4.13"]
    }


@pytest.mark.parametrize("name", ["beleble_wol_Latn", "belebele_wol"])
def test_an_unknown_name_has_near_ones(name: str) -> None:
    """The message has the nearest name of the harness."""
    with raises(RecipeError, code="unknown-task") as caught:
        asked([name], [])
    assert "belebele_wol_Latn" in str(caught.value)


def test_a_task_without_a_value_per_item_is_refused() -> None:
    """Scores over a corpus cannot be compared item by item, which is said."""
    with raises(RecipeError, code="task-of-a-corpus"):
        asked(["mafand_fr-wol_prompt_1"], [])


def test_a_file_is_a_task_of_its_name(tmp_path: Path) -> None:
    """Language, data set and metric come from the file; the key changes with what it includes."""
    path = written(tmp_path, "include: base.yaml\ntask: quiz_wol\n")
    written(tmp_path, TASK.replace("task: quiz_wol", "task: other"), "base.yaml")
    read = read_task_file(path)
    assert (read.task.name, read.task.languages) == ("quiz_wol", ("wol_Latn",))
    assert (read.task.dataset, read.task.metric) == ("org/quiz", "acc")
    before = added_origins([str(path)], [])
    assert task(str(path)).name == "quiz_wol"
    assert "quiz_wol of " in before["tasks"][0]
    assert str(tmp_path) not in before["tasks"][0]
    written(tmp_path, TASK.replace("question", "text"), "base.yaml")
    assert added_origins([str(path)], []) != before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("doc_to_target: answer", "doc_to_target: !function utils.f"), "tag"),
        (("test_split", "class: Quiz\ntest_split"), "no code"),
        (("test_split", "unsafe_code: true\ntest_split"), "no code"),
        (("test_split", "dataset_kwargs: {data_files: https://x.org/y}\ntest_split"), "no code"),
        (("metadata: {language: wol_Latn}", ""), "language of its items"),
        (("wol_Latn", "wolof"), "language of its items"),
        (("org/quiz", "json"), "id of a dataset of the Hub"),
        (("metric: acc", "metric: bleu"), "acc_norm, acc"),
        (("multiple_choice", "loglikelihood_rolling"), "generate_until"),
        (("quiz_wol", "belebele_wol_Latn"), "is a task of lm-evaluation-harness"),
        (("test_split", "include: ../other.yaml\ntest_split"), "files of its own folder"),
        (("test_split", "include: /etc/x.yaml\ntest_split"), "files of its own folder"),
    ],
)
def test_a_file_that_is_unfit_is_refused(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    """Code, data from elsewhere, and what is missing are refused, with the place in the file."""
    path = written(tmp_path, TASK.replace(*change))
    with pytest.raises(RecipeError) as caught:
        asked([str(path)], [])
    assert said in str(caught.value)
    assert "quiz.yaml" in str(caught.value)


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    """A circle of includes is refused."""
    path = written(tmp_path, "include: quiz.yaml\n" + TASK)
    with raises(RecipeError, code="unfit-task-file"):
        read_task_file(path)


def test_a_recorded_task_that_is_gone_has_its_name() -> None:
    """Scores of a file that is no longer there are shown with the name of their task."""
    assert task_of("quiz_of_last_year", direction=None).label == "quiz_of_last_year"
