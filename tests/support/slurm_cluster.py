"""A real Slurm cluster in a temporary folder and on free ports."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "slurm/cluster.sh"
REQUIRED = os.environ.get("FINETUNE_REQUIRE_SLURM") == "1"
"""In CI: what is missing is installed, and a test that cannot run fails."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster."""

    folder: Path
    environment: dict[str, str]
    """Environment of a process that uses it."""

    def control(self, verb: str, *arguments: str) -> str:
        """Run a verb of slurm/cluster.sh: `crash node1`, `boot node1`, `reboot node1` ..."""
        return _control(self.folder, verb, *arguments)

    def run(self, *command: str) -> str:
        """Run one of Slurm's commands; return what it printed."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def tidy(self) -> None:
        """Cancel all jobs, and bring back the nodes that a test took."""
        self.run("scancel", "--quiet", f"--user={os.getuid()}")
        states = self.run("sinfo", "-h", "-N", "-p", "batch", "-o", "%N %T").splitlines()
        for node, state in map(str.split, states):
            if state.startswith(("down", "drain")):
                self.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
        self.control("up", str(len(states)))


@contextmanager
def slurm_cluster(*, nodes: int, accounting: bool = False) -> Iterator[Cluster]:
    needed = ["slurmctld", "slurmd", "munged", "sbatch"] + ["slurmdbd", "mariadbd"] * accounting
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [program for program in needed if shutil.which(program, path=path) is None]
    if missing and not REQUIRED:
        how = "SLURM_CLUSTER_DBD=1 " * accounting + "make cluster-up"
        pytest.skip(f"Slurm is not installed ({', '.join(missing)} missing); `{how}` does it")
    # not in pytest's folder, which is closed to others: munge's socket has to be reachable by all
    folder = Path(tempfile.mkdtemp(prefix="finetune-slurm-"))
    settings = {
        "SLURM_CLUSTER_PORT": str(_free_ports(nodes)),
        # jobs derive ports from their ids, and another cluster may run beside this one
        "SLURM_CLUSTER_FIRST_JOB": str(random.randrange(1000, 900_000)),
        "SLURM_CLUSTER_DBD": str(int(accounting)),
    }
    watch = None
    try:
        _control(folder, "up", str(nodes), **settings)
        # a test run that is killed takes its cluster along
        program = 'while kill -0 "$0"; do sleep 2; done; exec "$1" wipe'
        watch = subprocess.Popen(
            ["bash", "-c", program, str(os.getpid()), str(SCRIPT)],
            env=os.environ | {"SLURM_CLUSTER_DIR": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        conf = {"SLURM_CONF": str(folder / "etc/slurm.conf")}
        yield Cluster(folder=folder, environment=os.environ | conf)
    finally:
        if watch is not None:
            watch.kill()
            watch.wait()
        _control(folder, "wipe")


def _control(folder: Path, verb: str, *arguments: str, **settings: str) -> str:
    # into a file: daemons that it starts would keep a pipe open
    with tempfile.TemporaryFile("w+") as log:
        done = subprocess.run(
            [str(SCRIPT), verb, *arguments],
            env=os.environ | {"SLURM_CLUSTER_DIR": str(folder)} | settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=240,
        )
        log.seek(0)
        said = log.read()
    assert done.returncode == 0, f"cluster.sh {verb}: {said}"
    return said


def _free_ports(nodes: int) -> int:
    """Return a port such that it, one for each node and the two of the database are free."""
    for port in random.sample(range(11_000, 18_000, 20), k=100):
        if all(_is_free(port + more) for more in (*range(nodes + 1), 1000, 1001)):
            return port
    pytest.fail("no free ports between 11000 and 19000")


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
