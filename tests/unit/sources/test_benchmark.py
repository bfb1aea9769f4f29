"""Data of public tasks: pinned in the lock, part of keys, and never loaded by a script."""

import io
from pathlib import Path

import pytest

from finetune.artefacts.job import Job
from finetune.errors import InputError, RecipeError
from finetune.output.console import Console
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_of
from finetune.sources.benchmark.download import newest, run
from finetune.sources.benchmark.pins import pinned
from finetune.sources.lock_file import read_lock, write_lock
from finetune.spec.load import load_project
from tests.support.hub_server import HubServer
from tests.support.problems import raises
from tests.support.small_project import write_small_project
from tests.support.surroundings import Variables

ROLE = "benchmark:facebook/belebele:wol_Latn"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Return a recipe with a public task."""
    path = write_small_project(tmp_path) / "recipes/r.yaml"
    path.write_text(path.read_text() + "evaluate:\n  tasks: [belebele_wol_Latn]\n")
    return path


def entry(revision: str) -> dict[str, object]:
    return {
        "kind": "hub dataset",
        "id": "facebook/belebele",
        "config": "wol_Latn",
        "revision": revision,
    }


def test_a_locked_commit_is_in_the_key_of_the_evaluation(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another commit of the data is another evaluation and the same training."""
    monkeypatch.chdir(recipe.parent.parent)
    project = load_project(recipe)
    keys = []
    for revision in ("a" * 40, "b" * 40):
        write_lock(recipe, {ROLE: entry(revision)})
        keys.append({step.stage.name: step.key for step in steps_of(project)})
    first, second = keys
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"benchmark", "baseline", "evaluate", "release"}


def test_a_commit_that_is_locked_stays(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fetch` asks the hub for the newest commit only where none is locked."""
    monkeypatch.chdir(recipe.parent.parent)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    known = {ROLE: entry("a" * 40), "card words": {"kind": "files"}}
    assert pinned(load_project(recipe), known) == {ROLE: entry("a" * 40)}


def test_data_without_a_locked_commit_are_not_fetched(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage says that `finetune fetch` writes the commit."""
    monkeypatch.chdir(recipe.parent.parent)
    project = load_project(recipe)
    [step] = [step for step in steps_of(project) if step.stage.name == "benchmark"]
    assert step.content["content"]["revision"] is None
    job = Job(
        recipe=project.recipe,
        phase=step.phase,
        cards={},
        inputs={},
        workspace=recipe.parent,
        console=Console(out=io.StringIO()),
        content=step.content["content"],
    )
    with raises(RecipeError, code="no-locked-commit"):
        run(job)


def test_a_lock_of_another_recipe_is_no_obstacle(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries of tasks that are no longer named change nothing; those named stay as locked."""
    monkeypatch.chdir(recipe.parent.parent)
    write_lock(recipe, {ROLE: entry("a" * 40), "benchmark:org/gone": entry("b" * 40)})
    assert open_project(recipe, purpose="check").recipe.evaluate.tasks == ["belebele_wol_Latn"]
    assert ROLE in (read_lock(recipe) or {})


def test_a_dataset_with_a_script_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: Variables, tmp_path: Path
) -> None:
    """Its name and the script are in the message; nothing of it is run."""
    with HubServer() as hub:
        variables(HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "hf"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        evil = b"raise SystemExit('ran')"
        hub.add("org/quiz", {"quiz.py": evil, "test.jsonl": b"{}"}, kind="dataset")
        with raises(InputError, code="dataset-script") as caught:
            newest("org/quiz", None)
    assert "quiz.py" in str(caught.value)
    assert "org/quiz" in str(caught.value)
