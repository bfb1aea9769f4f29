"""`finetune plan` and `finetune prepare` show the mix, and refuse one that cannot be had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.cli import main
from tests.support.project import write_project

EVEN = "mix: {by: card, method: temperature, temperature: 1e6}\n"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return found


def with_mix(recipe: Path, mix: str, *, marked: bool = False) -> Path:
    """Write a mix above `prepare`; `marked`: the second corpus is replay."""
    text = recipe.read_text().replace("prepare:\n", f"{mix}prepare:\n", 1)
    if marked:
        text = text.replace("  - card: lines\n", "  - {card: lines, replay: true}\n")
    recipe.write_text(text)
    return recipe


def table_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, Any]]:
    """Return the lines of the mix table, by what is mixed."""
    assert main([*arguments, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["mixed"]: line for line in lines if "mixed" in line}


def test_the_plan_is_estimated_before_and_counted_after(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is prepared from the sizes of files; then exactly, by prepare and plan."""
    with_mix(recipe, EVEN)
    before = table_of(capsys, "plan", str(recipe))
    assert {name: row["share"] for name, row in before.items()} == dict.fromkeys(
        ("pairs", "lines"), "50.0 %"
    )
    assert all("estimated from the size" in row["table"] for row in before.values())
    after = table_of(capsys, "prepare", str(recipe))
    assert all("counted on the prepared corpus" in row["table"] for row in after.values())
    assert table_of(capsys, "plan", str(recipe)) == after
    assert {name: row["share"] for name, row in after.items()} == dict.fromkeys(
        ("pairs", "lines"), "50.0 %"
    )
    for row in after.values():
        drawn, unique, again = (
            int(row[key].replace(",", "")) for key in ("tokens", "unique", "repeated")
        )
        assert drawn == unique + again > 0


def test_a_recipe_without_a_mix_shows_what_it_trains_on(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the texts are: every card as often as any other."""
    shown = table_of(capsys, "plan", str(recipe))
    assert list(shown) == ["hau_Latn"]
    assert "as the texts are" in shown["hau_Latn"]["table"]


def test_a_corpus_marked_replay_has_its_share(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tenth beside translations, without any section `mix`."""
    shown = table_of(capsys, "plan", str(with_mix(recipe, "", marked=True)))
    assert shown["hau_Latn (replay)"]["share"] == "10.0 %"


def test_a_curriculum_shows_the_shares_of_each_stage(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below the sums of the whole training."""
    second = "{method: fixed, weights: {lines: 1, pairs: 3}}"
    stages = f"mix: {{by: card, stages: [{{until: 0.5}}, {second}]}}\n"
    assert main(["plan", str(with_mix(recipe, stages))]) == 0
    shown = capsys.readouterr().out
    assert "stage 1, up to 50 % of the steps: lines 50.0 %, pairs 50.0 %" in shown
    assert "stage 2, up to 100 % of the steps: lines 25.0 %, pairs 75.0 %" in shown


def test_too_long_a_training_is_a_warning_before_and_an_error_after(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With file and line, the steps that there are, and the cap that it would take."""
    arguments = [str(with_mix(recipe, "mix: {by: card}\n")), "--set", "train.max_steps=500"]
    assert main(["plan", *arguments]) == 0
    assert "warning, from estimated sizes" in capsys.readouterr().out
    assert main(["prepare", *arguments]) == 2
    error = capsys.readouterr().err
    assert "--set train.max_steps=500: train.max_steps: 500 steps need more text than" in error
    assert "at most 4 passes over each card (mix.max_epochs) there is enough for" in error
    assert main(["train", *arguments]) == 2
    assert "train.max_steps: 500 steps need more" in capsys.readouterr().err
    recipe.write_text(recipe.read_text().replace("max_steps: 4", "max_steps: 400"))
    assert main(["plan", str(recipe)]) == 2
    assert "tiny.yaml:19:14: train.max_steps: 400 steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        (
            "mix:\n  by: card\n  method: fixed\n  weights: {pairs: 1, lnes: 2}\n",
            "tiny.yaml:15:29: mix.weights.lnes: no card 'lnes' is learned here. Did you mean",
        ),
        (
            "mix:\n  by: card\n  method: fixed\n  weights: {pairs: 1}\n",
            "tiny.yaml:15:12: mix.weights: no weight for lines; 0 leaves a card out",
        ),
        (
            "mix: {method: fixed, weights: {hau_Latn: 0}}\n",
            "tiny.yaml:12:6: mix: weights: `method: fixed` needs them, and at least one above 0",
        ),
        (
            "mix: {weights: {hau_Latn: 1}}\n",
            "tiny.yaml:12:6: mix: weights: only `method: fixed` reads it, and method is unimax",
        ),
        (
            "mix: {replay: 0.3}\n",
            "tiny.yaml:12:15: mix.replay: 0.3 of what is trained on, but no corpus is marked",
        ),
        (
            "mix: {stages: [{until: 0.5}, {until: 0.5}]}\n",
            "each `until` must be larger than the one before",
        ),
        (
            "mix: {stages: [{until: 0.5}]}\n",
            "the last one ends at 0.5 of the steps; what comes then?",
        ),
        ("mix: {temprature: 2}\n", "mix.temprature: unknown key. Did you mean 'temperature'?"),
        ("mix: {replay: 1.5}\n", "tiny.yaml:12:15: mix.replay: "),
    ],
)
def test_a_mistake_is_told_with_its_place(
    recipe: Path, capsys: pytest.CaptureFixture[str], mix: str, message: str
) -> None:
    """Names that are not there, sums of nothing, keys that nobody reads: what and what to do."""
    assert main(["check", str(with_mix(recipe, mix))]) == 2
    assert message in capsys.readouterr().err


def test_replay_alone_teaches_nothing(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every corpus marked, or the replayed one weighed like the others, is refused."""
    with_mix(recipe, "mix: {by: card, method: fixed, weights: {lines: 1, pairs: 1}}\n", marked=True)
    assert main(["check", str(recipe)]) == 2
    assert "mix.weights.lines: lines is there as replay" in capsys.readouterr().err
    recipe.write_text(
        recipe.read_text().replace("  - card: pairs", "  - card: pairs\n    replay: true")
    )
    assert main(["check", str(recipe)]) == 2
    assert "every corpus is marked `replay: true`" in capsys.readouterr().err
