"""A real training run by the script for other schedulers: stopped, killed, and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.cluster.chain.chain import find_chain, read_events
from tests.cluster.waiting import wait_for
from tests.support.project import write_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
STEPS = 60


def finetune(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "finetune", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def steps(store: Path) -> list[int]:
    """Return the steps in the metrics of the training run, finished or not."""
    for path in sorted(store.glob("train/*/metrics.jsonl")):
        lines = path.read_text().splitlines()
        records = [json.loads(line) for line in lines if line.endswith("}")]
        return [record["step"] for record in records if record["kind"] == "train"]
    return []


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that the test has started, each with a group of its own; those left are ended."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_script_under_bash_loses_nothing(tmp_path, started):
    """USR1, a killed rank, a kill of everything: each start resumes, every step is taken once,
    and the chain's records say how each attempt ended."""
    recipe = write_project(tmp_path)
    store = tmp_path / ".finetune"
    finetune(tmp_path, "fetch", str(recipe))
    settings = ("--set", f"train.max_steps={STEPS}", "--set", "train.validate_every_steps=50")
    finetune(tmp_path, "submit", str(recipe), "--scheduler", "none", "--until", "train", *settings)
    chain = find_chain(store)
    script = chain.folder / "scripts/run.sh"
    rank = f"finetune train {chain.recipe_path}"

    def start() -> subprocess.Popen[bytes]:
        variables = {"PYTHONPATH": str(Path(__file__).parents[2]), "JOB_ID": "7"}
        process = subprocess.Popen(
            ["bash", str(script)],
            cwd=tmp_path,
            env=os.environ | variables,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(process)
        return process

    def wait_for_further_steps() -> None:
        before = max(steps(store), default=0)
        wait_for(lambda: max(steps(store), default=0) > before + 2, seconds=120, said=log)

    def log() -> str:
        return "".join(path.read_text() for path in chain.folder.glob("logs/*"))

    process = start()
    wait_for_further_steps()
    process.send_signal(signal.SIGUSR1)
    assert process.wait(120) == 75, log()

    process = start()
    wait_for_further_steps()
    found = subprocess.run(["pgrep", "-f", rank], capture_output=True, text=True, check=True)
    os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
    wait_for(lambda: log().count(": again") >= 2, seconds=120, said=log)  # in the same job
    wait_for_further_steps()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(120)

    assert start().wait(240) == 0, log()
    assert steps(store) == list(range(1, STEPS + 1))
    outcomes = [event.outcome for event in read_events(chain, "run") if event.event == "end"]
    assert outcomes == ["stopped", "crashed", "done"]
    assert "run  done" in finetune(tmp_path, "status", chain.id)
