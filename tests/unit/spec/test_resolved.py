"""Recipes as they are written for jobs and releases."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.spec.load import load_recipe
from finetune.spec.resolved import recipe_text, with_local_paths, write_recipe
from tests.support.small_recipe import RECIPE

RECIPES = Path(__file__).parents[3] / "recipes"
CURRICULUM = """\
mixture:
  curriculum:
    - {until: 0.5, method: temperature, temperature: 2}
    - {method: fixed, weights: {wol_Latn: 1}}
"""
LOCAL = """\
evaluate:
  prompts: [asked/prompts.tsv]
  models:
    - {name: other, model: ./other, hub_id: org/other, licence: mit, adapter: ./its-adapter}
prepare:
  evaluation_sets: [{name: set, path: sets/set.txt, sha256: "SUM"}]
  identify: {models: [py3langid, {fasttext: lid/lid.bin, sha256: "SUM"}]}
""".replace("SUM", "0" * 64)


@pytest.mark.parametrize("name", ["africa-unequal", "hub-hausa-two-phases"])
def test_a_recipe_of_ours_is_read_back_as_it_was(tmp_path: Path, name: str) -> None:
    """A mixture, phases: no default of the file is a key that its method does not read."""
    recipe = load_recipe(RECIPES / f"{name}.yaml")
    write_recipe(recipe, tmp_path / "r.json")
    assert load_recipe(tmp_path / "r.json") == recipe


def test_a_curriculum_is_read_back_as_it_was(tmp_path: Path) -> None:
    """Each step with the keys that it states."""
    (tmp_path / "r.yaml").write_text(RECIPE + CURRICULUM)
    recipe = load_recipe(tmp_path / "r.yaml")
    write_recipe(recipe, tmp_path / "r.json")
    assert load_recipe(tmp_path / "r.json") == recipe


def test_every_local_path_is_replaced(tmp_path: Path) -> None:
    """Weights, adapters, prompts, evaluation sets, language models, judgements, a start."""
    text = RECIPE.replace("model: org/model\n", "model: ./model\n  hub_id: org/model\n") + LOCAL
    text = text.replace("max_steps: 3\n", "max_steps: 3\n  start_from: ./old\n")
    text = text.replace("repo: org/tiny\n", "repo: org/tiny\n  judgements: [judged.json]\n")
    (tmp_path / "r.yaml").write_text(text)
    asked: dict[str, str] = {}

    def change(key: str, path: str) -> str:
        asked[key] = path
        return f"./new/{len(asked)}.txt"

    changed = with_local_paths(load_recipe(tmp_path / "r.yaml"), change)
    assert asked == {
        "base.model": "./model",
        "evaluate.models[0].model": "./other",
        "evaluate.models[0].adapter": "./its-adapter",
        "evaluate.prompts[0]": "asked/prompts.tsv",
        "prepare.evaluation_sets[0]": "sets/set.txt",
        "prepare.identify.models[1]": "lid/lid.bin",
        "train.start_from": "./old",
        "release.judgements[0]": "judged.json",
    }
    written = recipe_text(changed)
    assert not [path for path in asked.values() if f'"{path}"' in written]
