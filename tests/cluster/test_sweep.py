"""A sweep on a real Slurm: one task per combination, one table at the end."""

from __future__ import annotations

import csv
import io

import pytest

from finetune.cluster.chain.chain import job_ids, read_events, read_submissions
from finetune.cluster.slurm import commands as slurm
from tests.cluster.chains import RECIPE, SETTINGS, adapters_of, jobs_of, make_line
from tests.cluster.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SWEEP = ("--sweep", "train.learning_rate=5e-3,1e30", "--seeds", "0,1", "--array-limit", "2")


def test_a_sweep_ends_in_one_table_even_if_tasks_fail(cluster, tmp_path):
    """Two seeds at two learning rates, one of them absurd: its tasks fail and say why, a task that
    is requeued resumes and no other is delayed; the table has all four, and `resubmit` takes
    only what is not done."""
    line = make_line(tmp_path / "sweep", cluster, settings=SETTINGS)
    line.submit(*SWEEP)
    chain = line.chain
    assert [job.name for job in chain.jobs if job.array == "prepare"] == ["prepare.0"]
    wait_for(line.newest_step, seconds=120)
    line.wait_for_step(10)
    active = [n for n in ("train.0", "train.1") if line.state(n).state == "RUNNING"]
    slurm.requeue(job_ids(chain)[active[0]])
    wait_for(lambda: jobs_of(line)["chain"]["state"] == "failed", seconds=240)

    jobs = jobs_of(line)
    states = {name: job["state"] for name, job in jobs.items()}
    for task, (train, evaluate) in enumerate(
        [("done", "done"), ("done", "done"), ("failed", "cancelled"), ("failed", "cancelled")]
    ):
        assert (states[f"train.{task}"], states[f"evaluate.{task}"]) == (train, evaluate)
    assert jobs[active[0]]["restarts"] == 1
    assert "loss" in jobs["train.2"]["why"]
    assert "train.2 failed" in jobs["chain"]["message"]
    assert [e.outcome for e in read_events(chain, active[0]) if e.event == "end"][-1] == "done"

    table = list(csv.DictReader(io.StringIO(line.finetune("report", "--sweep", "--csv").stdout)))
    assert [row["combination"] for row in table] == [
        f"train.learning_rate={rate} train.seed={seed}"
        for rate in ("5e-3", "1e30")
        for seed in (0, 1)
    ]
    scores = [(row["base_bits_per_byte"], row["adapter_bits_per_byte"]) for row in table]
    assert all(float(adapter) < float(base) for base, adapter in scores[:2])
    assert scores[2:] == [("", ""), ("", "")]
    assert len(list(line.store.glob("baseline/*/manifest.json"))) == 1

    done = adapters_of(line)
    again = line.finetune("resubmit").stdout
    assert [s.name for s in read_submissions(chain)][-4:] == [
        "train.2",
        "train.3",
        "evaluate.2",
        "evaluate.3",
    ]
    assert "submitted train.2" in again
    assert line.finetune("resubmit", check=False).returncode == 2
    line.finetune("cancel")
    wait_for(lambda: not any(job["state"] == "running" for job in jobs_of(line).values()))
    assert adapters_of(line) == done

    alone = make_line(tmp_path / "alone", cluster, settings=SETTINGS)
    seed = active[0].rpartition(".")[2]
    alone.finetune(
        "train", RECIPE, "--set", "train.learning_rate=5e-3", "--set", f"train.seed={seed}"
    )
    ((path, checksum),) = [
        (path, c) for path, c in adapters_of(alone).items() if path.suffix == ".safetensors"
    ]
    assert done[path] == checksum


def test_cancel_ends_a_whole_array_and_resubmit_resumes_elsewhere(cluster, tmp_path):
    """Running and waiting tasks are removed; in another partition each resumes, and the adapters
    are those of an undisturbed machine."""
    line = make_line(tmp_path / "sweep", cluster, settings=SETTINGS)
    line.submit("--seeds", "0,1", "--array-limit", "1")
    wait_for(line.newest_step, seconds=120)
    line.wait_for_step(12)
    line.finetune("cancel")
    wait_for(
        lambda: not any(s.is_active for s in slurm.jobs(job_ids(line.chain).values()).values())
    )
    states = {name: job["state"] for name, job in jobs_of(line).items()}
    assert states["chain"] == "cancelled"
    assert [states[f"train.{task}"] for task in range(2)] == ["cancelled"] * 2

    site = (line.folder / "site.yaml").read_text().replace("partition=batch", "partition=high")
    (line.folder / "other.yaml").write_text(site)
    said = line.finetune("resubmit", "--site", "other.yaml").stdout
    assert "submitted train.0" in said
    assert "resuming from the checkpoint at step" in said
    assert line.state("train.1").partition == "high"
    wait_for(lambda: jobs_of(line)["chain"]["state"] == "done", seconds=240)
    logs = sorted(line.chain.folder.glob("logs/train-*_0.log"))
    assert "resuming from the checkpoint at step" in logs[-1].read_text()

    alone = make_line(tmp_path / "alone", cluster, settings=SETTINGS)
    alone.finetune("train", RECIPE)
    trained = adapters_of(alone)
    assert trained
    assert trained.items() <= adapters_of(line).items()
