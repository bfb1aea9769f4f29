"""An evaluation that several jobs of a real Slurm share."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from finetune.cluster.chain.chain import job_ids
from tests.cluster.chains import RECIPE, make_line
from tests.cluster.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def leader(line):
    """Return the task that leads the measurement of the base; None before there is one."""
    leases = [path for path in line.store.glob("baseline/*lease*") if path.is_file()]
    found = [re.search(r"/(evaluate\.\d)", path.read_text()) for path in leases]
    return found[0][1] if found and found[0] else None


def scores_of(store):
    """Return the bytes of the scores, and of those of the items, of the one evaluation."""
    (folder,) = (path.parent for path in store.glob("evaluate/*/manifest.json"))
    files = [folder / "scores.json", *sorted(folder.glob("items/*"))]
    return {file.name: file.read_bytes() for file in files}


def test_a_killed_task_changes_no_score(cluster, tmp_path):
    """Three tasks share the shards, and the process of the one that leads is killed: the chain ends
    with the scores of an evaluation by one process."""
    line = make_line(tmp_path / "project", cluster)
    site = line.folder / "site.yaml"
    site.write_text(site.read_text() + "evaluation_tasks: 3\n")
    line.submit()
    wait_for(lambda: leader(line), seconds=240)
    killed = leader(line)
    cluster.run("scancel", "--signal=KILL", f"{job_ids(line.chain)[killed]}.0")
    assert line.wait_until_over(seconds=300).state == "COMPLETED"
    ends = [event.outcome for event in line.events(killed) if event.event == "end"]
    assert ends[0] == "crashed"
    said = map(json.loads, line.finetune("status", "--json").stdout.splitlines())
    states = {job["job"]: job["state"] for job in said if "job" in job}
    assert {f"evaluate.{task}" for task in range(3)} < set(states)
    assert set(states.values()) == {"done"}

    alone = tmp_path / "alone"
    later = shutil.ignore_patterns("chains", "baseline", "evaluate", "release")
    shutil.copytree(line.store, alone, ignore=later)
    line.finetune("evaluate", RECIPE, "--store", str(alone))
    assert scores_of(line.store) == scores_of(alone)
