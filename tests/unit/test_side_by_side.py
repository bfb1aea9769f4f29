"""Tests that share a fixture of their file make it once, also with several workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = """
import pytest

@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with open({made!r}, "a") as file:
        file.write("made ")

@pytest.mark.parametrize("n", range(6))
def test_something(n, shared): ...
"""


@pytest.mark.slow
def test_a_file_is_not_divided_among_workers(tmp_path: Path) -> None:
    """Two files on two workers: two fixtures, not four."""
    made = tmp_path / "made"
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(SHARED.format(made=str(made)), encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-n", "2"]
    grouped = ["--dist", "loadscope", "--no-loadscope-reorder", "-p", "tests.support.side_by_side"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *grouped, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "12 passed" in done.stdout, done.stdout + done.stderr
    assert made.read_text(encoding="utf-8").split() == ["made"] * 2
