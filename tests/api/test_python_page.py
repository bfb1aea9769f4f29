"""The page of the Python API: each of its examples runs, in order, as in one notebook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import finetune
from tests.support.project import write_project
from tests.support.surroundings import Variables

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "python.md"


@pytest.mark.usefixtures("workdir")
def test_every_example_runs(tmp_path: Path, variables: Variables) -> None:
    """The examples of the page, in a small project that has the names of the first run."""
    recipe = write_project(tmp_path)
    text = recipe.read_text(encoding="utf-8").replace("card: pairs", "card: kolibri-hau")
    (tmp_path / "recipes" / "hausa-school.yaml").write_text(
        text.replace("max_steps: 4", "max_steps: 2"), encoding="utf-8"
    )
    cards = tmp_path / "data_cards"
    (cards / "pairs.md").rename(cards / "kolibri-hau.md")
    variables(FINETUNE_STORE=str(tmp_path / "store"))
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) > 5
    notebook: dict[str, object] = {}
    for example in examples:
        shorter = example.replace('"train.max_steps": 24', '"train.max_steps": 2')
        exec(compile(shorter, str(PAGE), "exec"), notebook)


def test_the_first_run_is_ten_lines() -> None:
    """The code that a notebook needs for the first run."""
    first = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert first is not None
    assert len([line for line in first[1].splitlines() if line.strip()]) <= 10


def test_the_page_lists_the_api() -> None:
    """Every function has its row, and no row is of another one."""
    rows = re.findall(r"^\| `(\w+)\(", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == finetune.__all__
