"""`.ci/run`: it ends with words, whatever happens in a step."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder: Path, make: str, *, seconds: int = 60) -> subprocess.CompletedProcess[str]:
    """Run a copy of the script with a `make` of our own."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", folder / ".ci/run")
    (folder / "bin").mkdir()
    (folder / "bin/make").write_text(f"#!/bin/sh\n{make}\n")
    (folder / "bin/make").chmod(0o755)
    variables = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "FINETUNE_CI_SECONDS": str(seconds),
    }
    return subprocess.run(
        [folder / ".ci/run"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_all_steps_run_and_their_minutes_are_listed(tmp_path: Path) -> None:
    """Every step once, with the guard's variables set."""
    done = run(tmp_path, 'echo "$1 $FINETUNE_REQUIRE_SLURM $PYTEST_ADDOPTS"')
    assert done.returncode == 0
    assert "test-slow 1 --durations=15" in done.stdout
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    before = ["setup", "browser", "compiler", "lint", "types", "contracts"]
    assert listed == [*before, "test", "test-slow"]


def test_a_failing_step_ends_it_by_name(tmp_path: Path) -> None:
    """Later parts are not started."""
    done = run(tmp_path, 'test "$1" != types')
    assert done.returncode == 1
    assert 'ci: "types" failed (exit code 1)' in done.stdout
    assert "contracts" not in done.stdout


@pytest.mark.parametrize("seconds", [0, 1])
def test_it_stops_when_the_time_is_over(tmp_path: Path, seconds: int) -> None:
    """With the step that took too long, and where to read on, instead of being killed silently."""
    done = run(tmp_path, "exec sleep 50", seconds=seconds)
    assert done.returncode == 1
    assert f'ci: stopped in "setup": {seconds} s are over' in done.stdout
    assert "CONTRIBUTING" in done.stdout
