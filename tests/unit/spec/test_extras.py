"""The table of extras, held against pyproject.toml and against what the code imports."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.errors import MissingPackageError
from finetune.spec.tables import extras
from tests.support.syntax import tree_of

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WITH_OTHERS = {"pydantic_core", "_typeshed", "babel", "amdsmi"}
"""Part of pydantic; only known to type checkers; for those who develop; part of ROCm."""


def _names(lines: list[str]) -> set[str]:
    return {re.split(r"[\[><=]", line)[0] for line in lines} - {extras.PROJECT}


def test_the_table_is_what_pip_installs() -> None:
    """Each extra has the packages of the table, and none of them comes with the base install."""
    declared = PROJECT["optional-dependencies"]
    assert {name: set(row.values()) for name, row in extras.EXTRAS.items()} == {
        name: _names(lines) for name, lines in declared.items() if name in extras.EXTRAS
    }
    assert set(declared) - set(extras.EXTRAS) == {"all", "dev", "bench"}
    optional = {package for row in extras.EXTRAS.values() for package in row.values()}
    assert not optional & _names(PROJECT["dependencies"])


def test_every_import_of_the_code_is_declared() -> None:
    """A module that the package imports comes with the base install or stands in the table."""
    base = {name.lower() for name in _names(PROJECT["dependencies"])}
    known = {name for row in extras.EXTRAS.values() for name in row}
    there = packages_distributions()
    undeclared = set()
    for path in (ROOT / "finetune").rglob("*.py"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            else:
                continue
            tops = {module.partition(".")[0] for module in modules}
            for top in tops - {"finetune", *WITH_OTHERS, *sys.stdlib_module_names, *known}:
                if not {name.lower() for name in there.get(top, [])} & base:
                    undeclared.add(f"{path.name}: {top}")
    assert not undeclared


@pytest.mark.parametrize(
    ("name", "extra"),
    [("torch.nn", "train"), ("numpy", "train"), ("pyarrow.parquet", "parquet"), ("pypdf", "pdf")],
)
def test_a_missing_module_names_its_extra(name: str, extra: str) -> None:
    """The message has the module and the line of pip to type."""
    error = extras.missing_module(ModuleNotFoundError(name=name), needed_by="finetune train")
    assert isinstance(error, MissingPackageError)
    assert name.partition(".")[0] in str(error)
    assert f"pip install 'finetune-lowres[{extra}]'" in str(error)


def test_other_failed_imports_stay_what_they_are() -> None:
    """A module that belongs to no extra is a mistake of ours, not something to install."""
    assert extras.missing_module(ModuleNotFoundError(name="finetune.x"), needed_by="x") is None
    assert extras.missing_module(ImportError("cannot import name"), needed_by="x") is None


def test_a_verb_without_its_extra_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one line with the command, no traceback."""
    for loaded in [name for name in sys.modules if name.startswith("finetune.tokenizer")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert main(["tokenizer", "audit", "--base", "x", "--text", "README.md"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "pip install 'finetune-lowres[train]'" in line
