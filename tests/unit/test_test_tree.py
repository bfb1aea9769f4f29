"""Rules of the test tree: shared code in tests/support, few patches of internals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support import time_guard
from tests.support.side_by_side import group_of
from tests.support.syntax import tree_of

TESTS = Path(__file__).parents[1]
MODULES = sorted(TESTS.rglob("*.py"))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_module_imports_a_test_module() -> None:
    """Helpers of several test modules are in tests/support."""
    imports = [
        f"{path.relative_to(TESTS)}: {name}"
        for path in MODULES
        for name in _imported(tree_of(path))
        if re.search(r"^tests\..*\b(?:test_\w+|conftest)\b", name)
    ]
    assert imports == []


def test_every_folder_of_tests_is_a_package() -> None:
    """Two test modules of one name in different folders do not hide each other."""
    folders = {path.parent for path in MODULES}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_a_test_over_its_time_is_named_unless_it_has_a_reason() -> None:
    """Quick and slow tests have their limits, and a row of the table its own."""
    seconds = {"a": 31.0, "b": 31.0, "c": 121.0, "d": 121.0, "e": 400.0}
    lines = time_guard.too_long(seconds, {"b", "c", "d", "e"}, {"d": (130, "x"), "e": (130, "x")})
    assert [line.partition(":")[0] for line in lines] == ["e", "c", "a"]


def test_files_about_the_code_share_its_syntax_trees() -> None:
    """They are one group of a run with several workers; every other file is its own."""
    groups = {group_of(f"tests/unit/test_{name}.py::test_x") for name in ("words", "architecture")}
    assert len(groups) == 1
    assert group_of("tests/unit/test_cli.py::test_x") == "tests/unit/test_cli.py"


def test_every_row_of_the_time_guard_is_a_test() -> None:
    """A row whose test is gone goes too."""
    for test in time_guard.ALLOWED:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (TESTS.parent / file).read_text("utf-8"), test


MOST_MATCHES = 39
"""`match=` of pytest: for errors without codes only (libraries, Python's own, other exceptions)."""


def test_errors_are_held_by_codes_and_not_by_their_sentences() -> None:
    """Sentences may be reworded; a test states code, place and facts."""
    calls = [
        f"{path.relative_to(TESTS)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and any(word.arg == "match" for word in node.keywords)
    ]
    assert len(calls) <= MOST_MATCHES, calls
