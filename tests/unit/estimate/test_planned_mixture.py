"""`finetune plan` and `finetune prepare` show the mixture, and refuse one that cannot be had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.cli import main
from finetune.errors import RecipeError
from finetune.spec.load import load_project
from tests.support.project import write_project
from tests.support.surroundings import Inside

EVEN = "mixture: {by: card, method: temperature, temperature: 1e6}\n"


@pytest.fixture
def recipe(tmp_path: Path, inside: Inside) -> Path:
    found = write_project(tmp_path)
    inside(tmp_path)
    return found


def with_mixture(recipe: Path, mixture: str, *, marked: bool = False) -> Path:
    """Write a mixture above `prepare`; `marked`: the second corpus is replay."""
    text = recipe.read_text().replace("prepare:\n", f"{mixture}prepare:\n", 1)
    if marked:
        text = text.replace("  - card: lines\n", "  - {card: lines, replay: true}\n")
    recipe.write_text(text)
    return recipe


def table_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, Any]]:
    """Return the lines of the mixture table, by what is mixed."""
    assert main([*arguments, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["group"]: line for line in lines if line.get("table") == "mixture"}


def test_the_plan_is_estimated_before_and_counted_after(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is prepared from the sizes of files; then exactly, by prepare and plan."""
    with_mixture(recipe, EVEN)
    before = table_of(capsys, "plan", str(recipe))
    assert {name: row["share"] for name, row in before.items()} == dict.fromkeys(
        ("pairs", "lines"), pytest.approx(0.5)
    )
    assert not any(row["counted"] for row in before.values())
    after = table_of(capsys, "prepare", str(recipe))
    assert all(row["counted"] for row in after.values())
    assert table_of(capsys, "plan", str(recipe)) == after
    assert {name: row["share"] for name, row in after.items()} == dict.fromkeys(
        ("pairs", "lines"), pytest.approx(0.5)
    )
    for row in after.values():
        drawn, unique, again = (row[key] for key in ("tokens", "unique_tokens", "repeated_tokens"))
        assert drawn == unique + again > 0


def test_a_recipe_without_a_mix_shows_what_it_trains_on(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the texts are: every card as often as any other."""
    shown = table_of(capsys, "plan", str(recipe))
    assert list(shown) == ["hau_Latn"]
    assert not shown["hau_Latn"]["mixed"]


def test_a_corpus_marked_replay_has_its_share(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tenth beside translations, without any section `mixture`."""
    shown = table_of(capsys, "plan", str(with_mixture(recipe, "", marked=True)))
    assert shown["hau_Latn (replay)"]["share"] == pytest.approx(0.1)


def test_a_curriculum_shows_the_shares_of_each_stage(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below the sums of the whole run."""
    second = "{method: fixed, weights: {lines: 1, pairs: 3}}"
    stages = f"mixture: {{by: card, curriculum: [{{until: 0.5}}, {second}]}}\n"
    assert main(["plan", str(with_mixture(recipe, stages))]) == 0
    shown = capsys.readouterr().out
    assert "curriculum part 1, up to 50 % of the steps: lines 50.0 %, pairs 50.0 %" in shown
    assert "curriculum part 2, up to 100 % of the steps: lines 25.0 %, pairs 75.0 %" in shown


def test_too_long_a_training_is_a_warning_before_and_an_error_after(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With file and line, the steps that there are, and the cap that it would take."""
    arguments = [str(with_mixture(recipe, "mixture: {by: card}\n")), "--set", "train.max_steps=500"]
    assert main(["plan", *arguments]) == 0
    assert "warning, from estimated sizes" in capsys.readouterr().out
    assert main(["prepare", *arguments]) == 2
    error = capsys.readouterr().err
    assert "--set train.max_steps=500: train.max_steps: 500 steps need more text than" in error
    assert "at most 4 passes over each card (mixture.max_epochs) there is enough for" in error
    assert main(["train", *arguments]) == 2
    assert "train.max_steps: 500 steps need more" in capsys.readouterr().err
    recipe.write_text(recipe.read_text().replace("max_steps: 4", "max_steps: 400"))
    assert main(["plan", str(recipe)]) == 2
    assert "tiny.yaml:19:14: train.max_steps: 400 steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mixture", "code", "line", "column", "key"),
    [
        (
            "mixture:\n  by: card\n  method: fixed\n  weights: {pairs: 1, lnes: 2}\n",
            "weight-of-nothing",
            *(15, 29, "mixture.weights.lnes"),
        ),
        (
            "mixture:\n  by: card\n  method: fixed\n  weights: {pairs: 1}\n",
            "weight-missing",
            *(15, 12, "mixture.weights"),
        ),
        (
            "mixture: {method: fixed, weights: {hau_Latn: 0}}\n",
            "no-weights",
            *(12, 35, "mixture.weights"),
        ),
        (
            "mixture: {weights: {hau_Latn: 1}}\n",
            "key-of-other-method",
            *(12, 20, "mixture.weights"),
        ),
        ("mixture: {replay: 0.3}\n", "replay-of-nothing", 12, 19, "mixture.replay"),
        (
            "mixture: {curriculum: [{until: 0.5}, {until: 0.5}]}\n",
            "curriculum-order",
            *(12, 23, "mixture.curriculum"),
        ),
        (
            "mixture: {curriculum: [{until: 0.5}]}\n",
            "curriculum-end",
            *(12, 23, "mixture.curriculum"),
        ),
        ("mixture: {temprature: 2}\n", "unknown-key", 12, 23, "mixture.temprature"),
        ("mixture: {replay: 1.5}\n", "too-large", 12, 19, "mixture.replay"),
    ],
)
def test_a_mistake_is_reported_with_its_place(
    recipe: Path, mixture: str, code: str, line: int, column: int, key: str
) -> None:
    """Unknown names, no weight at all, keys that no method reads: code and place."""
    with pytest.raises(RecipeError) as caught:
        load_project(with_mixture(recipe, mixture))
    found = {one.code: one.place for one in caught.value.problems}
    assert (found[code].line, found[code].column, found[code].key) == (line, column, key)


def test_replay_alone_teaches_nothing(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every corpus marked, or the replayed one weighed like the others, is refused."""
    with_mixture(
        recipe, "mixture: {by: card, method: fixed, weights: {lines: 1, pairs: 1}}\n", marked=True
    )
    assert main(["check", str(recipe)]) == 2
    assert "mixture.weights.lines: lines is replay data" in capsys.readouterr().err
    recipe.write_text(
        recipe.read_text().replace("  - card: pairs", "  - card: pairs\n    replay: true")
    )
    assert main(["check", str(recipe)]) == 2
    assert "every corpus is marked `replay: true`" in capsys.readouterr().err
