"""torchrun's exit code, made usable by `python -m finetune.launch.torchrun`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ranks.launch import ROOT, WORKERS, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_clean_stop_is_75_without_a_traceback(tmp_path: Path) -> None:
    """SIGTERM goes to both ranks, which note how they ended."""
    launcher = [sys.executable, "-m", "finetune.launch.torchrun", "--nproc-per-node", "2"]
    launcher += ["--master-port", str(free_port()), "-m", "tests.ranks.stoppable"]
    with subprocess.Popen(
        [*launcher, str(tmp_path), "75"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        until = time.monotonic() + 120 * WORKERS
        while len(list(tmp_path.glob("ready-*"))) < 2 and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[0]
    assert process.returncode == 75, said
    assert "Traceback" not in said
