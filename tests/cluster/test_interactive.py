"""Commands typed in an allocation of a real Slurm."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.chains import RECIPE, make_line
from tests.cluster.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_srun_in_an_allocation_trains_on_two_ranks(cluster, tmp_path):
    """`salloc -n 2 srun -n 2 finetune train`: the tasks are ranks of one training run, without a
    variable of torchrun; one of them prepares and writes, and the allocation ends with them."""
    line = make_line(tmp_path / "typed", cluster)
    words = ["salloc", "-p", "batch", "-N", "1", "-n", "2", "srun", "-n", "2"]
    own = {"PYTHONPATH": str(Path(__file__).parents[2]), "PWD": str(line.folder)}
    done = subprocess.run(
        [*words, sys.executable, "-m", "finetune", "train", RECIPE],
        cwd=line.folder,
        env=cluster.environment | own,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=540,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert len(re.findall(r"^2 ranks\b.*; micro-batch", said, re.MULTILINE)) == 1, said
    assert "train 4/4 steps" in said
    assert len(list(line.store.glob("train/*/adapter/adapter_model.safetensors"))) == 1
    assert len(list(line.store.glob("prepare/*/manifest.json"))) == 1
    # Slurm completes the job of an allocation after `salloc` has ended
    wait_for(lambda: not cluster.run("squeue", "--me", "--noheader").strip())
    assert not list(line.store.glob("train/*.partial"))
