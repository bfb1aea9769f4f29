"""The Python API: the same line as the command line, with typed results."""

from __future__ import annotations

import ast
import inspect
import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import finetune
from finetune.api.made import Run
from finetune.artefacts.packed_split import open_split
from finetune.errors import RecipeError, StoreError
from finetune.output.console import Console
from tests.support.project import write_project
from tests.support.surroundings import Inside


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with a random model and one corpus of plain text."""
    path = write_project(tmp_path_factory.mktemp("project"))
    text = path.read_text(encoding="utf-8").replace("./model", str(path.parents[1] / "model"))
    pairs = "  - card: pairs\n    source: eng_Latn\n    target: hau_Latn\n"
    assert pairs in text
    path.write_text(text.replace(pairs, ""), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(recipe: Path) -> Run:
    """The whole line, once, up to the evaluation."""
    return finetune.run(recipe, until="evaluate", store=recipe.parents[1] / "store", quiet=True)


def test_all_names_are_there_sorted_and_documented() -> None:
    """`__all__` is the API, no more; every function states what it gives."""
    assert sorted(finetune.__all__) == finetune.__all__ == sorted(finetune._MODULES)
    for name in finetune.__all__:
        function = getattr(finetune, name)
        assert inspect.getdoc(function)
        assert function.__annotations__["return"] is not None
        assert name in dir(finetune)
    with pytest.raises(AttributeError, match="no_such"):
        _ = finetune.no_such


def test_type_checkers_see_the_same_names() -> None:
    """The imports for type checkers are those that the first use makes."""
    tree = ast.parse(Path(finetune.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("finetune.")
        for alias in node.names
    }
    assert imported == finetune._MODULES


def test_import_is_light() -> None:
    """`import finetune` loads two modules of the package and nothing heavy."""
    code = "import sys, finetune; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"torch", "numpy", "pydantic", "rich", "jinja2"} & set(loaded)


def test_a_recipe_is_opened_with_overrides(recipe: Path) -> None:
    """A mapping holds values as they are; a list is what `--set` takes."""
    one = finetune.open_recipe(recipe, overrides={"train.max_steps": 3, "name": "7e12345"})
    two = finetune.open_recipe(recipe, overrides=["train.max_steps=3", "name='7e12345'"])
    assert one.recipe == two.recipe
    assert (one.recipe.name, one.recipe.train.max_steps) == ("7e12345", 3)
    with pytest.raises(RecipeError):
        finetune.open_recipe(recipe, overrides={"train.max_stops": 3})


def test_the_plan_is_known_before_and_after(recipe: Path, made: Run, tmp_path: Path) -> None:
    """Keys are those of the run; states follow the store."""
    before = finetune.plan(recipe, store=tmp_path)
    after = finetune.plan(recipe, store=made.store.root)
    assert [one.key for one in before] == [one.key for one in after]
    stages = ["base", "prepare", "train", "baseline", "evaluate", "release"]
    assert [one.stage for one in before] == stages
    assert {one.state for one in before} == {before[-1].state}
    assert [one.state for one in after[:-1]] == ["cached"] * 5
    assert after[1].path == made.path("prepare")


def test_cached_stages_are_not_run_again(recipe: Path, made: Run) -> None:
    """The second call finds every artefact."""
    again = finetune.run(recipe, until="evaluate", store=made.store.root, quiet=True)
    assert again.artefacts == made.artefacts


def test_scores_are_rows(made: Run) -> None:
    """Each score names its metric, system and language; a DataFrame takes them."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(made.scores)
    assert set(table["system"]) == {"base", "adapter", "ngram"}
    assert sum(2 + len(one.rivals) for one in made.comparisons) == len(made.scores)
    assert {"metric", "language", "value", "low", "high", "n", "signature"} <= set(
        asdict(made.scores[0])
    )
    assert made.counts["train"].tokens > 0
    assert made.report("prepare").is_file()
    assert made.report("evaluate").is_file()
    with pytest.raises(StoreError) as error:
        made.path("release")
    assert error.value.codes == ("stage-not-run",)


def test_progress_goes_where_it_is_asked_for(
    recipe: Path, made: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """A notebook sees the lines of the command line, or none."""
    finetune.run(recipe, until="prepare", store=made.store.root, quiet=True)
    assert not capsys.readouterr().out
    finetune.run(recipe, until="prepare", store=made.store.root, console=Console())
    assert "prepare" in capsys.readouterr().out


def test_bits_per_byte_are_those_of_the_evaluation(made: Run) -> None:
    """The held-out texts of a text corpus give the score that `evaluate` printed."""
    trained = made.load_adapter()
    folder = made.path("prepare") / "test"
    result = made.artefact("prepare").result
    split = open_split(folder, languages=tuple(result["languages"]), cards=tuple(result["cards"]))
    texts = [
        trained.tokenizer.decode(split.token_ids_of(number), skip_special_tokens=True)
        for number in range(len(split.documents_D))
    ]
    [score] = [s for s in made.scores if (s.metric, s.system) == ("bits_per_byte", "adapter")]
    ours = finetune.bits_per_byte(trained.model, trained.tokenizer, texts, sequence_tokens=128)
    assert len(texts) == score.n
    assert math.isclose(ours, score.value, rel_tol=1e-4)
    with trained.without_adapter():
        base = finetune.bits_per_byte(trained.model, trained.tokenizer, texts, sequence_tokens=128)
    assert base != ours


def test_fertility_of_a_tokenizer(made: Run) -> None:
    """A tokenizer or the name of its base give the same numbers, those of tokens by words."""
    trained = made.load_adapter()
    texts = ["ina kwana lafiya", "bude kofa"] * 4
    cost = finetune.fertility(trained.tokenizer, texts)
    named = finetune.fertility(made.path("base") / "model", texts)
    tokens = sum(len(trained.tokenizer(text, add_special_tokens=False).input_ids) for text in texts)
    assert cost.tokens_per_word is not None
    assert math.isclose(cost.tokens_per_word.value, tokens / 20)
    assert cost == named or cost.tokens == named.tokens


def test_records_of_a_card(recipe: Path, inside: Inside) -> None:
    """A card is opened by its file or, in the project, by its name."""
    path = recipe.parents[1] / "data_cards" / "pairs.md"
    records = list(finetune.open_card(path).records())
    assert records[0].fields["eng_Latn"] == "open door 0"
    assert len(records) == 60
    inside(recipe.parents[1])
    assert finetune.open_card("pairs").card.name == "pairs"


def test_what_was_not_trained_is_not_loaded(recipe: Path, tmp_path: Path) -> None:
    """The error names the command that trains."""
    with pytest.raises(StoreError) as error:
        finetune.load_adapter(recipe, store=tmp_path)
    [found] = error.value.problems
    assert found.code == "not-built-yet"
    assert str(found.facts["command"]).startswith("finetune train ")


def test_unknown_words_are_refused_before_anything_runs(recipe: Path, tmp_path: Path) -> None:
    """A stage, a purpose and a phase alone: each gives its code, and nothing is built."""
    calls = {
        "until": lambda: finetune.run(recipe, until="evalute", store=tmp_path),  # type: ignore[arg-type]
        "purpose": lambda: finetune.open_recipe(recipe, purpose="running"),  # type: ignore[arg-type]
        "phase": lambda: finetune.run(recipe, phase="train", store=tmp_path),
    }
    codes = {}
    for name, call in calls.items():
        with pytest.raises(RecipeError) as error:
            call()
        codes[name] = error.value.codes
    assert codes == {
        "until": ("unknown-word",),
        "purpose": ("unknown-word",),
        "phase": ("phase-without-until",),
    }
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("typed", ["train.max_steps=7", {"train.max_steps": np.int64(7)}])
def test_one_override_and_numbers_of_arrays_are_taken(recipe: Path, typed: Any) -> None:
    """`overrides` takes one `KEY=VALUE` as text, and numbers that NumPy counted."""
    opened = finetune.open_recipe(recipe, overrides=typed, purpose="plan")
    assert opened.recipe.train.max_steps == 7
