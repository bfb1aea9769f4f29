"""An evaluation that several jobs of a real Slurm share."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from finetune.cluster.chain.chain import job_ids
from tests.cluster.chains import RECIPE, make_line
from tests.cluster.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def scores_of(line):
    """Return the score file, and the scores of the items, of the one evaluation."""
    (folder,) = (p for p in line.store.glob("evaluate/*") if p.suffix not in (".partial", ".lease"))
    files = [folder / "scores.json", *sorted(folder.glob("items/*"))]
    return {file.name: file.read_bytes() for file in files}


def test_a_killed_task_changes_no_score(cluster, tmp_path):
    """Three tasks share the shards; one is killed as soon as there is a shard, and the release has
    the scores of an evaluation by one process."""
    line = make_line(tmp_path / "shared", cluster)
    site = line.folder / "site.yaml"
    site.write_text(site.read_text() + "evaluation_tasks: 3\n")
    line.submit()
    wait_for(lambda: [*line.store.glob("baseline/*/shards/base/*/*.jsonl")], seconds=240)
    killed = job_ids(line.chain)["evaluate.0"]
    subprocess.run(
        ["scancel", f"--signal={signal.SIGKILL.name.removeprefix('SIG')}", killed],
        env=line.cluster.environment,
        check=False,
    )
    assert line.wait_until_over(seconds=300).state == "COMPLETED"
    said = map(json.loads, line.finetune("status", "--json").stdout.splitlines())
    states = {job["job"]: job["state"] for job in said if "job" in job}
    assert {name: state for name, state in states.items() if state != "done"} == {}
    assert {f"evaluate.{task}" for task in range(3)} < set(states)

    alone = make_line(tmp_path / "alone", cluster)
    alone.finetune("run", RECIPE)
    assert scores_of(line) == scores_of(alone)
