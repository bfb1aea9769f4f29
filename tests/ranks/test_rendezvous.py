"""Tasks of a Slurm step meet through a file in the folder that they share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.launch.rendezvous import Address, announce
from tests.ranks.launch import ROOT, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def tasks(
    folder: Path, *, of: int, started: int, seconds: float, **more: str
) -> list[tuple[int, str]]:
    """Start the first tasks of a step, as srun does; return exit code and output of each."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "MASTER"))}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "SLURM_JOB_ID": "7"}
    environment |= {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": str(of), "SLURM_NODEID": "0"}
    environment |= {"SLURM_STEP_TASKS_PER_NODE": str(of), **more}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ranks.meet", str(folder), str(seconds)],
            env=environment | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(started)
    ]
    return [(one.wait(), one.communicate()[0]) for one in running]


def test_three_tasks_meet_though_an_earlier_attempt_left_its_file(tmp_path: Path) -> None:
    """No port is computed, no old address is used, and no file is left behind."""
    path = tmp_path / "rendezvous.json"
    announce(path, Address("slurm-6-0-0", ("127.0.0.1",), free_port()))
    stale = {"FINETUNE_RENDEZVOUS": str(path), "MASTER_ADDR": "nowhere.invalid", "MASTER_PORT": "1"}
    found = tasks(tmp_path, of=3, started=3, seconds=120, **stale)
    assert [code for code, _ in found] == [0, 0, 0], found
    assert all(said.startswith("3 ranks, sum 6, at ") for _, said in found), found
    assert not list(tmp_path.iterdir())


def test_a_task_that_does_not_come_is_named_with_host_and_port(tmp_path: Path) -> None:
    """Both ranks that came end, and say what to check; rank 0 knows who is missing."""
    found = tasks(tmp_path, of=3, started=2, seconds=20)
    assert [code for code, _ in found] == [1, 1], found
    assert "missing: rank 2" in found[0][1]
    for _, said in found:
        assert "no rendezvous at 127.0.0.1:" in said
        assert "finetune doctor" in said
        assert "Traceback" not in said
