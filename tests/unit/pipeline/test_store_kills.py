"""A build that is killed before any operation, once or some times in a row, loses nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(60, marks=pytest.mark.slow),
        pytest.param(300, marks=[pytest.mark.nightly, pytest.mark.timeout(900)]),
    ],
)
def test_killed_builds_end_with_the_same_files_and_leave_nothing(
    tmp_path: Path, count: int
) -> None:
    """Started over and resumed ones; every operation has its turn, then draws."""
    program = [sys.executable, "-m", "tests.support.store_kills", str(tmp_path / "store")]
    done = subprocess.run(
        [*program, str(count), "1"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    assert found["problems"] == []
    assert found["kills"] >= count
