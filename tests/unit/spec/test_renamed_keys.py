"""Old names of recipe keys: read with a warning that names the new key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from finetune.errors import RecipeError
from finetune.spec.load import load_recipe
from finetune.spec.tables.renamed import RECIPE, RenamedKeyWarning
from tests.support.problems import raises

RECIPE_TEXT = """\
name: t
base: {model: org/base, revision: "0000000000000000000000000000000000000000", licence: apache-2.0}
corpora: [{card: x}]
train: {max_steps: 10}
release: none
"""


def written(folder: Path, more: str = "") -> Path:
    path = folder / "t.yaml"
    path.write_text(RECIPE_TEXT + more, encoding="utf-8")
    return path


def test_an_old_key_is_read_and_its_line_and_new_name_are_shown(tmp_path: Path) -> None:
    path = written(tmp_path, "lora:\n  targets: [q_proj]\n")
    with pytest.warns(RenamedKeyWarning, match=r"t\.yaml:7:12: lora\.targets: this key is now "):
        recipe = load_recipe(path)
    assert recipe.lora.target_modules == ["q_proj"]


def test_old_sections_and_the_keys_inside_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "mix: {stages: [{until: 0.5}, {method: proportional}]}\n")
    with pytest.warns(RenamedKeyWarning) as warned:
        recipe = load_recipe(path)
    assert recipe.mixture is not None
    assert [step.until for step in recipe.mixture.curriculum] == [0.5, 1.0]
    assert len(warned) == 2


def test_set_takes_an_old_key_over_the_new_one_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "lora: {target_modules: [q_proj]}\n")
    with pytest.warns(RenamedKeyWarning, match=r"--set lora\.targets=\[v_proj\]: lora\.targets: "):
        recipe = load_recipe(path, overrides=["lora.targets=[v_proj]"])
    assert recipe.lora.target_modules == ["v_proj"]


def test_old_and_new_name_together_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "run: {micro_batch_rows: 2, micro_batch_size: 4}\n")
    with raises(RecipeError, code="old-and-new-key", at="t.yaml:6:25: run.micro_batch_rows"):
        load_recipe(path)


def test_every_renamed_key_is_a_field_of_a_recipe_under_its_new_name_only(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, "mixture: {curriculum: [{}]}\n"))
    shape = recipe.model_dump() | {"phases": [recipe.training_phases[0].model_dump()]}
    for old, new in RECIPE.items():
        *sections, name = old.split(".")
        values = shape
        for section in sections:
            values = values[section]
            values = values[0] if isinstance(values, list) else values
        assert new in values, old
        assert name not in values, old


def test_the_warning_is_printed_in_the_language_of_messages(tmp_path: Path) -> None:
    """`finetune check --lang fr` warns in French."""
    (tmp_path / "data_cards").mkdir()
    path = written(tmp_path, "mix: {}\n")
    command = [sys.executable, "-m", "finetune", "check", str(path), "--lang", "fr"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    [first, *_] = done.stderr.splitlines()
    assert first.startswith("avertissement\N{NO-BREAK SPACE}: ")
    assert "mixture" in first
    assert "this key is now" not in first
