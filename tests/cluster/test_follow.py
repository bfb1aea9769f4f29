"""A chain on a real Slurm is followed and steered from other terminals."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.cluster.chain.chain import job_ids, read_submissions
from finetune.cluster.chain.progress import newest_step
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.submit import queue as control
from tests.cluster.waiting import wait_for
from tests.support.chain_by_hand import KEYS, finetune, status_of, write_chain_by_hand

pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def forgetful(cluster):
    """The cluster while it forgets a job two seconds after its end."""
    path = cluster.folder / "etc/slurm.conf"
    usual = path.read_text()
    path.write_text(re.sub(r"(?m)^MinJobAge=.*", "MinJobAge=2", usual))
    cluster.run("scontrol", "reconfigure")
    yield cluster
    path.write_text(usual)
    cluster.run("scontrol", "reconfigure")


def step_of(store):
    step = status_of(store)["train"]["step"]
    return step if isinstance(step, int) else 0


def test_a_chain_is_cancelled_whole_and_resubmitted_where_it_stopped(cluster, store):
    """Nothing of it is left in the queue, its state is kept, and the rest is done by `resubmit`."""
    chain = write_chain_by_hand(store, steps=30)
    control.enqueue(chain, chain.jobs)
    wait_for(lambda: step_of(store) > 3)
    lines = finetune("status", store=store).stdout.splitlines()
    assert lines[0].startswith(f"{chain.id}: running; 1 of 3 jobs done")
    assert lines[2].split() == ["prepare", "done"]
    assert lines[3].split()[:2] == ["train", "running"]
    assert "/30" in lines[3]
    assert lines[4].split() == ["evaluate", "waiting", "after", "train"]

    refused = finetune("resubmit", store=store)
    assert refused.returncode == 2
    assert "still active" in refused.stderr
    assert job_ids(chain)["train"] in refused.stderr

    assert finetune("cancel", store=store).returncode == 0
    wait_for(lambda: not control.active_jobs(chain))
    stopped = status_of(store)
    assert [stopped[name]["state"] for name in KEYS] == ["done", "cancelled", "cancelled"]
    kept = newest_step(store / "train" / f"{KEYS['train']}.partial" / "checkpoints")
    assert kept is not None

    again = finetune("resubmit", store=store)
    assert again.returncode == 0, again.stderr
    assert f"resuming from the checkpoint at step {kept}" in again.stdout
    assert [s.name for s in read_submissions(chain)] == [*KEYS, "train", "evaluate"]
    wait_for(lambda: status_of(store)["chain"]["state"] == "done")
    assert (
        f"resuming from the checkpoint at step {kept}"
        in finetune("logs", "train", store=store).stdout
    )
    nothing = finetune("resubmit", store=store)
    assert "all jobs are done" in nothing.stdout


def test_cancel_leaves_other_chains_alone(cluster, store):
    """Two chains of one store, one is cancelled, the other goes on; asking twice is harmless."""
    mine, other = (write_chain_by_hand(store, steps=400) for _ in range(2))
    for chain in (mine, other):
        control.enqueue(chain, chain.jobs)
    wait_for(lambda: len(control.active_jobs(other)) == 2)
    assert finetune("cancel", mine.id, store=store).returncode == 0
    wait_for(lambda: not control.active_jobs(mine))
    assert "no job is waiting or running" in finetune("cancel", mine.id, store=store).stdout
    assert len(control.active_jobs(other)) == 2
    lines = finetune("status", "--all", store=store).stdout.splitlines()
    states = {line.split("; ")[0] for line in lines}
    assert states == {f"{mine.id}: cancelled", f"{other.id}: running"}


def test_a_job_that_was_submitted_and_never_noted_is_cancelled_too(cluster, store):
    """A submission that was killed between Slurm's answer and the note is found by its script."""
    chain = write_chain_by_hand(store, steps=400)
    slurm.submit(chain.folder / "scripts" / "train.sh", folder=chain.folder)
    wait_for(lambda: control.active_jobs(chain))
    assert "cancelled unknown" in finetune("cancel", store=store).stdout
    wait_for(lambda: not control.active_jobs(chain))


def test_a_failure_is_reported_in_one_line_and_its_dependants_do_not_wait_for_ever(cluster, store):
    """Reason in the first line, dependants cancelled by Slurm; after the repair it goes on."""
    chain = write_chain_by_hand(store, steps=6, fails_at=3)
    control.enqueue(chain, chain.jobs)
    wait_for(lambda: status_of(store)["evaluate"]["state"] == "cancelled")
    report = status_of(store)
    assert report["chain"]["state"] == "failed"
    assert "train failed: the loss is not a number" in str(report["chain"]["message"])
    assert report["evaluate"]["why"] == "not started: train failed"
    assert "step 3" in finetune("logs", store=store).stdout
    (chain.folder / "repaired").touch()
    assert finetune("resubmit", store=store).returncode == 0
    wait_for(lambda: status_of(store)["chain"]["state"] == "done")


def test_a_chain_that_slurm_has_forgotten_is_reported_and_continued(forgetful, store):
    """Minutes after their end jobs are no longer in Slurm's memory; the same is said from files."""
    chain = write_chain_by_hand(store, steps=6, fails_at=3)
    control.enqueue(chain, chain.jobs)
    wait_for(lambda: status_of(store)["evaluate"]["state"] == "cancelled")
    before = status_of(store)
    wait_for(lambda: not slurm.jobs(job_ids(chain).values()), seconds=120)
    assert status_of(store) == before
    (chain.folder / "repaired").touch()
    assert finetune("resubmit", store=store).returncode == 0
    wait_for(lambda: status_of(store)["chain"]["state"] == "done")


def test_a_log_is_followed_over_a_requeue(cluster, store):
    """`logs -f` shows both runs of a job that was put back, and ends when the job ends."""
    chain = write_chain_by_hand(store, steps=20)
    control.enqueue(chain, chain.jobs)
    wait_for(lambda: step_of(store) > 2)
    follower = subprocess.Popen(
        [sys.executable, "-m", "finetune", "logs", "train", "-f", "-n", "1000", "--store", store],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    slurm.requeue(job_ids(chain)["train"])
    wait_for(lambda: "requeued" in str(status_of(store)["train"]["why"]))
    shown, aside = follower.communicate(timeout=120)
    assert follower.returncode == 0
    assert [f"train: start {n}" in shown for n in (0, 1)] == [True, True]
    assert shown.splitlines()[-1] == "step 20"
    assert "requeued" in aside
    assert aside.rstrip().endswith("--- train: done ---")
    assert status_of(store)["train"]["restarts"] == 1
    second = finetune("logs", "train", "--attempt", "2", store=store).stdout
    assert second.startswith("train: start 1")


def test_without_slurm_the_files_still_tell(cluster, store, variables):
    """A terminal from which Slurm cannot be reached shows the steps and reports it."""
    chain = write_chain_by_hand(store, steps=400)
    control.enqueue(chain, chain.jobs)
    wait_for(lambda: step_of(store) > 1)
    variables(SLURM_CONF=str(Path(os.devnull)))
    shown = finetune("status", store=store).stdout
    assert "Slurm did not answer" in shown
    assert "/400" in shown
    refused = finetune("cancel", store=store)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
