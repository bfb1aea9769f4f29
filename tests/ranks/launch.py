"""Start several processes that train together, as a launcher does, and wait for them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
STEPS = ("--set", "train.max_steps=12", "--set", "train.schedule=constant")


def command(recipe: Path, store: Path, *more: str, verb: str = "train") -> list[str]:
    """Return what every rank runs."""
    program = [sys.executable, "-m", "finetune", verb, str(recipe), "--store", str(store)]
    return [*program, *STEPS, *more]


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_of(rank: int, *, ranks: int, port: int) -> dict[str, str]:
    """Return the environment of one rank, as torchrun sets it."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def start(command: list[str], *, ranks: int, logs: Path) -> list[subprocess.Popen[str]]:
    """Start `command` once per rank; what rank r prints goes to `logs/rank-r.log`."""
    logs.mkdir(parents=True, exist_ok=True)
    port = free_port()
    started = []
    for rank in range(ranks):
        with (logs / f"rank-{rank}.log").open("w") as log:
            started.append(
                subprocess.Popen(
                    command,
                    env=environment_of(rank, ranks=ranks, port=port),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
    return started


def finish(processes: list[subprocess.Popen[str]], *, seconds: float = 180) -> list[int]:
    """Wait for all and return their exit codes; none is left behind.

    `seconds` are those of a machine that does nothing else; other workers take their share.
    """
    patience = seconds * WORKERS
    try:
        return [process.wait(patience) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def train(folder: Path, runs: list[dict[str, Any]], *, ranks: int) -> list[dict[str, Any]]:
    """Run runs (see tests/ranks/train.py), one after the other in one launch of `ranks`.

    Returns what rank 0 says of each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runs.json").write_text(json.dumps(runs))
    command = [sys.executable, "-m", "tests.ranks.train", str(folder)]
    codes = finish(start(command, ranks=ranks, logs=folder))
    logs = "\n".join(p.read_text() for p in sorted(folder.glob("rank-*.log")))
    assert codes == [0] * ranks, logs
    found: list[dict[str, Any]] = json.loads((folder / "results.json").read_text())
    return found
