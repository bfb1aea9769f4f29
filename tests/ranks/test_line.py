"""The command line on several processes: one prepares, all train, one speaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.ranks.launch import ROOT, WORKERS, command, finish, free_port, start
from tests.support.project import write_project
from tests.support.surroundings import Inside

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ADAPTER = "adapter/adapter_model.safetensors"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def alone(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("alone")
    subprocess.run(command(recipe, store), check=True, cwd=recipe.parents[1], capture_output=True)
    return trained(store)


def trained(store: Path) -> Path:
    """Return the folder of the one finished training of a store."""
    (found,) = (p.parent for p in store.glob("train/*/manifest.json") if not p.parent.suffix)
    return found


def wait_for(condition: Callable[[], object], *, seconds: float = 120) -> None:
    """Wait until a condition holds."""
    until = time.monotonic() + seconds * WORKERS
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.05)


def catches_usr1(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a process has started far enough to handle SIGUSR1 (proc(5), SigCgt)."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGUSR1 - 1) & 1)


def test_torchrun_runs_the_line_on_two_ranks_and_rank_0_alone_writes_and_prints(
    recipe: Path, alone: Path, tmp_path: Path, inside: Inside
) -> None:
    """From nothing to published: rank 1 waits, but in training; the same key and adapter."""
    inside(recipe.parents[1])
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launcher += ["--master-port", str(free_port()), "--redirects", "3", "--log-dir", str(tmp_path)]
    more = ("--set", "evaluate.generate_items=0", "--set", "evaluate.samples=0")
    program = command(recipe, tmp_path / "store", *more, verb="run")[1:]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launcher, *program], env=environment, capture_output=True, text=True, check=False
    )
    logs = {p.parent.name: p.read_text() for p in tmp_path.rglob("*.log") if p.stat().st_size}
    assert done.returncode == 0, (done.stderr, logs)
    assert list(logs) == ["0"], f"rank 1 printed: {logs}"
    assert (tmp_path / "store/hub/org/tiny-lora/README.md").is_file()
    found = trained(tmp_path / "store")
    manifest = json.loads((found / "manifest.json").read_text())
    assert (manifest["result"]["ranks"], manifest["result"]["sharding"]) == (2, "ddp")
    assert found.name == alone.name, "how many processes train is in no key"
    a, b = load_file(found / ADAPTER), load_file(alone / ADAPTER)
    assert max(float((a[k] - b[k]).abs().max()) for k in a) < 1e-4


def test_a_killed_rank_ends_all_and_the_same_command_continues_bit_identically(
    recipe: Path, tmp_path: Path, inside: Inside
) -> None:
    """The others say whom they lost, without a traceback; no checkpoint is lost."""
    inside(recipe.parents[1])
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert finish(start(command(recipe, straight), ranks=2, logs=tmp_path / "a")) == [0, 0]
    processes = start(command(recipe, killed), ranks=2, logs=tmp_path / "b")
    wait_for(lambda: list(killed.glob("train/*.partial/checkpoints/step-*/state.json")))
    processes[1].send_signal(signal.SIGKILL)
    codes = finish(processes)
    said = (tmp_path / "b/rank-0.log").read_text()
    assert codes == [1, -signal.SIGKILL], said
    assert "lost contact with another rank" in said
    assert "Traceback" not in said
    assert finish(start(command(recipe, killed), ranks=2, logs=tmp_path / "c")) == [0, 0]
    assert "resuming from the checkpoint at step" in (tmp_path / "c/rank-0.log").read_text()
    a, b = trained(killed) / ADAPTER, trained(straight) / ADAPTER
    assert a.read_bytes() == b.read_bytes()


def test_a_stop_while_rank_0_prepares_ends_all_with_75(
    recipe: Path, tmp_path: Path, inside: Inside
) -> None:
    """Also the ranks that only wait; nothing half-written looks complete."""
    inside(recipe.parents[1])
    store = tmp_path / "store"
    processes = start(command(recipe, store), ranks=2, logs=tmp_path)
    wait_for(lambda: list(store.glob("base/*.lease")) and all(map(catches_usr1, processes)))
    for process in processes:
        process.send_signal(signal.SIGUSR1)
    assert finish(processes) == [75, 75]
    assert "stopped on request (SIGUSR1)" in (tmp_path / "rank-0.log").read_text()
    assert not list(store.glob("*/*/manifest.json"))


def test_a_mistake_is_reported_by_every_rank_and_ends_with_2(recipe: Path, tmp_path: Path) -> None:
    """No rank waits for one that has given up."""
    wrong = command(recipe, tmp_path / "store", "--set", "lora.rnak=3")
    assert finish(start(wrong, ranks=2, logs=tmp_path), seconds=60) == [2, 2]
    assert "Did you mean 'rank'" in (tmp_path / "rank-0.log").read_text()
