"""Runs are found by what people call them, and each has a label of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.errors import RecipeError
from finetune.pipeline.store import Store
from finetune.report.find_runs import Found, find_runs
from tests.support.report_runs import keys_of, write_run, write_sweep

SEEDS = (0, 1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two seeds of one recipe and another rank."""
    folder = tmp_path_factory.mktemp("runs") / "store"
    for number, seed in enumerate(SEEDS, 1):
        write_run(folder, number, seed=seed, languages=("wol_Latn",))
    write_run(folder, 3, rank=16, released=False, languages=("wol_Latn",))
    return folder


def found(store: Path, *words: str) -> Found:
    return find_runs(words, store=Store(store), open_recipe=lambda path: pytest.fail(str(path)))


@pytest.mark.parametrize("stage", ["evaluate", "train", "release"])
def test_an_artefact_names_the_run_that_it_belongs_to(store: Path, stage: str) -> None:
    """Evaluation, training and release of a run are one run, by stage/key, key or first digits."""
    key = keys_of(1)[stage]
    for word in (f"{stage}/{key}", key, str(store / stage / key)):
        (run,) = found(store, word).runs
        assert (run.evaluate, run.repo) == (f"evaluate/{keys_of(1)['evaluate']}", "org/tiny-1")


def test_a_name_is_every_run_of_the_recipe_once(store: Path) -> None:
    """The label has the differences, and no run is there twice."""
    runs = found(store, "tiny", f"train/{keys_of(2)['train']}").runs
    assert [run.label for run in runs] == ["rank=8 seed=0", "rank=8 seed=1", "rank=16 seed=0"]
    assert [run.repo for run in runs] == ["org/tiny-1", "org/tiny-2", None]


def test_an_unknown_word_is_answered_with_the_nearest_name(store: Path) -> None:
    """A typing error, and a word that is like nothing."""
    for word, near in (("tinny", "tiny"), ("a/b/c", None)):
        with pytest.raises(RecipeError) as refused:
            found(store, word)
        (one,) = refused.value.problems
        assert (one.code, one.facts.get("near")) == ("no-such-run", near)


def test_a_chain_is_its_combinations_with_their_settings(store: Path) -> None:
    """Also one that is not evaluated yet."""
    write_sweep(store, {"train.seed=0": 1, "train.seed=1": 2, "train.seed=2": 9})
    sweep = found(store, "c-1")
    assert [run.label for run in sweep.runs] == [f"train.seed={seed}" for seed in (0, 1, 2)]
    assert [run.evaluated is not None for run in sweep.runs] == [True, True, False]
    assert sweep.chain
