"""Training runs of a sweep side by side in one job of a real Slurm."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from finetune.cluster.chain.chain import job_ids
from tests.cluster.chains import RECIPE, SETTINGS, Line, adapters_of, jobs_of, make_line
from tests.cluster.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
RATES = ("5e-3", "1e30", "4e-3")
STEPS = 150
LONG = SETTINGS | {"max_steps: 4": f"max_steps: {STEPS}"}
"""So many that none ends while the test still looks at the slowest one beside it."""
TRAININGS = ("train.0", "train.1", "train.2")


def steps_of(line: Line, name: str) -> list[int]:
    """Return the steps in the metrics of a training run, in the order in which they were made."""
    key = line.chain.job(name).artefacts[-1]
    paths = line.store.glob(f"{key}*/metrics.jsonl")
    rows = [row for path in paths for row in path.read_text().splitlines() if row.endswith("}")]
    return [record["step"] for record in map(json.loads, rows) if record["kind"] == "train"]


def kill(attempt: str) -> None:
    """Kill the processes of an attempt at a training run."""
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"FINETUNE_ATTEMPT={attempt}\0".encode() in environment.read_bytes():
                os.kill(int(environment.parent.name), signal.SIGKILL)
        except OSError:
            continue  # it is another user's, or has ended


def test_a_stop_in_the_middle_repeats_only_what_is_not_done(cluster, tmp_path):
    """Three training runs are one job. One fails, another is killed, and neither ends one beside
    it; the stop signal saves the third. The job comes back for the last two alone, each resumes,
    and what they make is what a training run of its own makes, no saved step made twice."""
    line = make_line(tmp_path / "packed", cluster, settings=LONG)
    line.submit("--sweep", f"train.learning_rate={','.join(RATES)}", "--pack", "3")
    chain, ids = line.chain, job_ids(line.chain)
    (job_id,) = {ids[name] for name in TRAININGS}
    wait_for(lambda: "failed" in jobs_of(line)["train.1"]["why"], seconds=180)
    assert jobs_of(line)["train.1"]["state"] == "running"
    wait_for(lambda: all(len(steps_of(line, f"train.{i}")) > 8 for i in (0, 2)), seconds=120)
    kill(f"{chain.id}/train.2#1")
    before = len(steps_of(line, "train.0"))
    wait_for(lambda: len(steps_of(line, "train.0")) > before + 2)
    cluster.run("scancel", "--batch", "--signal=USR1", job_id)
    wait_for(lambda: not line.state("evaluate.2").is_active, seconds=400)

    said = jobs_of(line)
    states = [said[f"{kind}.{i}"]["state"] for kind in ("train", "evaluate") for i in range(3)]
    assert states == ["done", "failed", "done", "done", "failed", "done"]
    assert "loss" in said["train.1"]["why"]
    outcomes = {n: [e.outcome for e in line.events(n) if e.event == "end"] for n in TRAININGS}
    assert outcomes["train.0"] == ["stopped", "done"]
    assert outcomes["train.1"] == ["failed"]
    assert (len(outcomes["train.2"]), outcomes["train.2"][-1]) == (2, "done")
    assert {e.job_id for name in TRAININGS for e in line.events(name)} == {job_id}
    assert steps_of(line, "train.0") == list(range(1, STEPS + 1))
    for name in ("train.0", "train.2"):
        log = chain.log_path(name, job_id).read_text()
        assert log.count("resuming from the checkpoint at step") == 1

    for stage in ("base", "prepare"):
        shutil.copytree(line.store / stage, tmp_path / "alone" / stage)
    alone = Line(line.folder, cluster, own_store=tmp_path / "alone")
    rate = f"train.learning_rate={RATES[2]}"
    alone.finetune("train", RECIPE, "--set", rate, "--store", str(alone.store))
    assert adapters_of(alone)
    assert adapters_of(alone).items() <= adapters_of(line).items()
