"""Combinations of settings are made, checked and refused before anything is queued."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.cluster.submit.sweep import checked, combine, language_axis, parse_axis
from finetune.errors import RecipeError
from finetune.spec.load import load_project

RECIPE = Path(__file__).parents[3] / "recipes/hausa-school.yaml"


def problems_of(*sweeps):
    with pytest.raises(RecipeError) as refused:
        checked(RECIPE, overrides=[], settings=combine([parse_axis(s) for s in sweeps]))
    return refused.value.problems


def test_every_combination_is_its_own_recipe():
    """Two languages, two ranks and two seeds are eight training jobs on two prepared corpora."""
    languages = language_axis(load_project(RECIPE), ["hau_Latn", "yor_Latn"])
    axes = [languages, parse_axis("lora.rank=8,16"), parse_axis("train.seed=0,1")]
    found = checked(RECIPE, overrides=["train.max_steps=4"], settings=combine(axes))
    keys = {
        stage: {step.key for one in found for step in one.steps if step.stage.name == stage}
        for stage in ("base", "prepare", "train", "baseline", "evaluate")
    }
    assert {stage: len(k) for stage, k in keys.items()} == {
        "base": 1,
        "prepare": 2,
        "train": 8,
        "baseline": 2,
        "evaluate": 8,
    }
    last = found[7].project.recipe
    assert last.corpora[0].card == "kolibri-yor"
    assert (last.corpora[0].target, last.lora.rank, last.train.seed) == ("yor_Latn", 16, 1)
    assert last.train.max_steps == 4


def test_all_problems_of_all_combinations_are_reported_at_once():
    """A wrong key and a wrong value of different options are both there, each once, as typed."""
    problems = problems_of("lora.rnak=8,16", "train.seed=0,x")
    assert len(problems) == 3
    first, *others = map(str, problems)
    assert first.startswith("--sweep lora.rnak=8: lora.rnak: ")
    assert any("train.seed" in problem and "'x'" in problem for problem in others)


def test_languages_of_a_card_are_a_key_like_any_other():
    """A target that the card has is swept by its key; one that it lacks is refused."""
    (found,) = map(str, problems_of("corpora.0.target=hau_Latn,yor_Latn"))
    assert "target: 'yor_Latn' is not in card 'kolibri-hau'" in found


def test_two_combinations_with_the_same_training_run_are_refused():
    """A key that changes nothing (threads) would train the same twice, at twice the cost."""
    (found,) = problems_of("run.threads=1,2")
    assert (found.code, found.place.key) == ("same-training-run", "run.threads=2")
    assert found.facts == {"other": "run.threads=1"}


@pytest.mark.parametrize("text", ["lora.rank", "lora.rank=", "=8", "lora.rank=8,,16"])
def test_an_axis_without_key_or_value_is_refused_with_an_example(text):
    """The message shows how it is written."""
    with pytest.raises(RecipeError) as refused:
        parse_axis(text)
    assert refused.value.codes == ("not-a-sweep",)


def test_a_value_given_twice_is_refused():
    """It would be one combination with two tasks."""
    with pytest.raises(RecipeError) as refused:
        parse_axis("lora.rank=8,16,8")
    (found,) = refused.value.problems
    assert (found.code, found.facts) == ("repeated-values", {"values": ("8",)})


def test_a_language_that_no_card_has_is_refused_with_the_nearest():
    """The card of a language is never guessed: one card has it, or the languages are listed."""
    with pytest.raises(RecipeError) as refused:
        language_axis(load_project(RECIPE), ["hau_Latm", "xyz_Latn", "yor_Latn"])
    first, second = refused.value.problems
    assert {first.code, second.code} == {"language-in-no-card"}
    assert "'hau_Latn'" in str(first)
    assert second.place.key == "--languages xyz_Latn"


def test_the_source_language_is_no_target():
    """English is in every card, as the source; it is not offered as a language to learn."""
    with pytest.raises(RecipeError) as refused:
        language_axis(load_project(RECIPE), ["eng_Latn"])
    (found,) = refused.value.problems
    assert (found.code, found.place.key) == ("source-language", "--languages eng_Latn")
