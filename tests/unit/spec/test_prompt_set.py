"""Sets of prompts: our own, the format, and what a recipe with them means."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.errors import RecipeError
from finetune.spec.prompt_set import HEADER, health_file, read_prompts
from finetune.spec.recipe import Recipe
from tests.support.problems import raises
from tests.support.release_job import RECIPE


def test_our_set_has_thirty_questions_in_two_languages() -> None:
    """Each in English and, after it, in French; no question is there twice."""
    prompts = read_prompts(health_file())
    assert [one.language for one in prompts] == ["eng_Latn", "fra_Latn"] * 30
    assert len({one.text for one in prompts}) == 60


def written(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "prompts.tsv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def test_a_community_writes_the_same_format(tmp_path: Path) -> None:
    """With a byte order mark, Windows line ends and blank lines, as editors leave them."""
    path = tmp_path / "prompts.tsv"
    path.write_bytes(f"\ufeff{HEADER}\r\nwol_Latn\tNanga def?\r\n\r\n".encode())
    [prompt] = read_prompts(path)
    assert (prompt.language, prompt.text) == ("wol_Latn", "Nanga def?")


FALSE = {
    "another header": (["wol_Latn\tx"], "prompt,language", "no-prompt-set"),
    "no prompt": (["wol_Latn"], HEADER, "no-prompt"),
    "three cells": (["wol_Latn\tx\ty"], HEADER, "no-prompt"),
    "only blanks": (["wol_Latn\t  "], HEADER, "no-prompt"),
    "no language": (["wolof\tx"], HEADER, "no-language-code"),
    "too long": (["wol_Latn\t" + "x" * 4001], HEADER, "long-prompt"),
    "twice": (["wol_Latn\tx", "wol_Latn\tx"], HEADER, "prompt-twice"),
    "empty": ([], HEADER, "number-of-prompts"),
    "too many": ([f"wol_Latn\t{n}" for n in range(1001)], HEADER, "number-of-prompts"),
}


@pytest.mark.parametrize("case", FALSE)
def test_a_false_set_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    """File, line, and what to write."""
    lines, header, code = FALSE[case]
    with raises(RecipeError, code=code):
        read_prompts(written(tmp_path, *lines, header=header))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Absent, a folder, and no UTF-8."""
    (tmp_path / "latin").write_bytes(f"{HEADER}\nfra_Latn\tété".encode("latin-1"))
    for name in ("absent", ".", "latin"):
        with raises(RecipeError, code="unreadable-prompts"):
            read_prompts(tmp_path / name)


def test_health_adds_our_set_to_that_of_the_recipe() -> None:
    """Without it a set of a recipe is a general one."""
    files = {"evaluate": {"prompts": ["refusals.tsv"]}}
    assert Recipe.model_validate(RECIPE).prompt_files == ()
    assert Recipe.model_validate(RECIPE | files).prompt_files == ("refusals.tsv",)
    both = Recipe.model_validate(RECIPE | files | {"intended_use": "health"}).prompt_files
    assert both == (str(health_file()), "refusals.tsv")
