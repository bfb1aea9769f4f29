"""torchrun's exit code, made usable by `python -m finetune.launch.torchrun`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ranks.launch import ROOT, WORKERS, command, free_port
from tests.support.project import write_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def launched(recipe: Path, store: Path) -> subprocess.Popen[str]:
    """Start a training on two ranks by the wrapper."""
    launcher = [sys.executable, "-m", "finetune.launch.torchrun", "--nproc-per-node", "2"]
    launcher += ["--master-port", str(free_port())]
    return subprocess.Popen(
        [*launcher, *command(recipe, store)[1:]],
        cwd=recipe.parents[1],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_clean_stop_of_torchrun_is_75_without_a_traceback_and_the_rest_is_0(
    tmp_path: Path,
) -> None:
    """SIGTERM to the wrapper: both ranks write their state, and the same command goes on."""
    recipe, store = write_project(tmp_path), tmp_path / "store"
    process = launched(recipe, store)
    until = time.monotonic() + 150 * WORKERS
    while not list(store.glob("train/*.partial/checkpoints/step-*/state.json")):
        assert time.monotonic() < until, process.poll()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate()
    assert process.returncode == 75, said
    assert "Traceback" not in said
    again = launched(recipe, store)
    said, _ = again.communicate()
    assert again.returncode == 0, said
    assert "resuming from the checkpoint at step" in said
