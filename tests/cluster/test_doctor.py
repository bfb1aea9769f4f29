"""The doctor on a real Slurm of four nodes: what is well, and failures that are really there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.waiting import wait_for

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SITE = ROOT / "slurm/sites/dev.yaml"


@pytest.fixture
def examine(cluster, tmp_path):
    """Run the doctor as a user does; return exit code and check -> row."""

    def _examine(
        overlay: str = "{}", *, store: Path | None = None, **options: str
    ) -> tuple[int, dict[str, dict]]:
        mine = tmp_path / "overlay.yaml"
        mine.write_text(overlay, encoding="utf-8")
        command = [sys.executable, "-m", "finetune", "doctor", "--json", "--site", str(SITE)]
        command += ["--overlay", str(mine), "--store", str(store or tmp_path / "store")]
        command += [f"--{name}={value}" for name, value in options.items()]
        done = subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert "Traceback" not in done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, {row["check"]: row for row in rows}

    return _examine


def failed(rows: dict[str, dict]) -> list[str]:
    return [check for check, row in rows.items() if row["state"] == "failed"]


def test_four_nodes_are_well(examine, cluster):
    """Every check passes, four ranks really exchanged numbers, and no job or file is left."""
    code, rows = examine(nodes="4")
    assert (code, failed(rows)) == (0, [])
    assert rows["compute nodes"]["found"] == "4 ranks on node1, node2, node3, node4"
    assert rows["all-reduce"]["found"].startswith("gloo, 4 ranks: 16 MiB")
    assert "seen by 4 nodes" in rows["store"]["found"]
    wait_for(lambda: not cluster.run("squeue", "-h"))  # the last job may still be completing


def test_a_local_disk_is_no_shared_store(examine, cluster):
    """A folder that is another one on each node is found out, with the nodes."""
    code, rows = examine(store=cluster.folder / "local" / "store")
    assert (code, failed(rows)) == (1, ["store"])
    assert "node[1-2] do not see" in rows["store"]["found"]


def test_nodes_that_cannot_reach_each_other(examine):
    """A network interface that is not there fails the exchange and nothing else."""
    code, rows = examine("environment: {GLOO_SOCKET_IFNAME: nosuch0}")
    assert (code, failed(rows)) == (1, ["all-reduce"])
    assert "nosuch0" in rows["all-reduce"]["found"]


def test_gpus_that_are_not_there(examine):
    """Devices that the site declares and torch does not see fail before any training."""
    overlay = "site: {gpus_per_node: 1, train: {sbatch: ['#SBATCH --gres=gpu:1']}}"
    code, rows = examine(overlay)
    assert (code, failed(rows)) == (1, ["GPUs"])
    assert "sees 0 of 1" in rows["GPUs"]["found"]


def test_a_set_up_command_that_fails(examine):
    """A module that is not there is named, though the ranks start all the same."""
    code, rows = examine("setup: [module load nosuch]")
    assert (code, failed(rows)) == (1, ["setup"])
    assert rows["setup"]["found"] == "module load nosuch: exit code 127"


def test_a_partition_that_does_not_exist(examine):
    """Slurm's refusal of each job is shown before anything waits in a queue."""
    _, rows = examine("partition: nosuch")
    assert {"prepare job", "train job", "evaluate job", "release job"} <= set(failed(rows))
    assert "invalid partition" in rows["train job"]["found"]


def test_a_python_without_finetune(examine):
    """The reason is the Python's own, not srun's exit code."""
    code, rows = examine("site: {command: [/usr/bin/env, -i, /usr/bin/python3, -m, finetune]}")
    assert (code, failed(rows)) == (1, ["compute nodes"])
    assert "No module named" in rows["compute nodes"]["found"]


def test_a_node_that_is_down(examine, cluster):
    """A step that cannot start ends at --wait, leaves no job, and states what may be wrong."""
    cluster.run("scontrol", "update", "NodeName=node4", "State=DOWN", "Reason=test")
    code, rows = examine(nodes="4", wait="5")
    assert code == 1
    assert "no answer in 5 s" in rows["compute nodes"]["found"]
    wait_for(lambda: not cluster.run("squeue", "-h"))  # the last job may still be completing
