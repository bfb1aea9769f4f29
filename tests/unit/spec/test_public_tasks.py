"""Public tasks by name and language: the table, its page, and what is said of a recipe."""

import tomllib
from pathlib import Path

from finetune.spec.language import is_language
from finetune.spec.tables.extras import EXTRAS
from finetune.spec.tables.public_tasks import (
    FAMILIES,
    VERSION,
    all_tasks,
    near,
    public_task,
    tasks_in,
    without_task,
)
from tests.support import public_tasks as written

ROOT = Path(__file__).parents[3]
ABSENT = ["kas_Arab", "fuc_Latn", "srr_Latn", "dyo_Latn", "mnk_Latn", "snk_Latn"]


def test_every_row_is_of_a_family_and_in_languages_of_ours() -> None:
    """No row has a family without a name, no language, or another spelling of one."""
    tasks = list(all_tasks())
    assert {task.family for task in tasks} == set(FAMILIES)
    assert all(task.languages for task in tasks)
    assert all(is_language(code) for task in tasks for code in task.languages)
    assert len({task.name for task in tasks}) == len(tasks)


def test_the_table_is_of_the_version_that_the_extra_pins() -> None:
    """Its first line, the pin in pyproject.toml and the constant name one version."""
    assert written.TABLE.read_text().splitlines()[0] == written.HEAD
    [package] = EXTRAS["tasks"].values()
    assert f"{package}=={VERSION}" in _extras_of_the_project()


def _extras_of_the_project() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return list(project["optional-dependencies"]["tasks"])


def test_languages_without_a_task_are_known() -> None:
    """Kashmiri, Pulaar, Serer, Jola, Mandinka and Soninke have none; their neighbours do."""
    assert without_task([*ABSENT, "wol_Latn", "brx_Deva", "mni_Mtei"]) == ABSENT
    assert not any(map(tasks_in, ABSENT))


def test_a_name_has_its_data_set_and_metric() -> None:
    """Answers that are chosen have the normalised accuracy, where the task has one."""
    task = public_task("belebele_wol_Latn")
    assert task is not None
    assert (task.dataset, task.config) == ("facebook/belebele", "wol_Latn")
    assert (task.languages, task.metric) == (("wol_Latn",), "acc_norm")
    assert public_task("belebele") is None
    assert near("beleble_wol_Latn")[0] == "belebele_wol_Latn"


def test_the_page_shows_the_table() -> None:
    """docs/evaluate/public-tasks.md is what the table gives; it names those that have none."""
    page = written.PAGE.read_text(encoding="utf-8")
    assert page == written.page()
    assert "Kashmiri (`kas_Arab`)" in page
    assert "`belebele_wol_Latn`" in page
