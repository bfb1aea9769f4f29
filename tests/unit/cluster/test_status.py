"""A chain is followed from Slurm's words and the files alone, whatever is missing of them."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.cluster.chain import chain as chains
from finetune.cluster.chain.chain import AttemptEvent, Submission, append_event, append_submission
from finetune.cluster.follow import notices, status
from finetune.cluster.follow.notices import space_notices
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.slurm.commands import JobState, parse_jobs
from finetune.cluster.slurm.reasons import STUCK, WAITING, never_starts, why_ended, why_waiting
from finetune.cluster.submit.resubmit import resubmit
from finetune.errors import ClusterError, RecipeError
from finetune.pipeline.storage import Quota
from tests.cluster.by_hand import KEYS, write_chain_by_hand

RECORDED = {
    job.job_id: job
    for job in parse_jobs((Path(__file__).parent / "scontrol.txt").read_text("utf-8"))
}
LEASE = json.dumps({"nonce": "0", "pid": 1, "host": "node1", "boot": "another", "born": 1})


@pytest.fixture
def chain(tmp_path):
    """Three jobs, submitted as 11, 12 and 13."""
    made = write_chain_by_hand(tmp_path / "store", steps=100)
    for number, name in enumerate(KEYS):
        append_submission(made, Submission(name, str(11 + number), chains.now()))
    return made


def known(monkeypatch, chain, **jobs):
    """Make Slurm know jobs: `_12=recorded job`; all others it has forgotten."""
    found = {}
    for name, job in jobs.items():
        command = str(chain.folder / "scripts" / "x.sh")
        fields = {**job.fields, "Command": command}
        found[name[1:]] = replace(job, job_id=name[1:], fields=fields)
    monkeypatch.setattr(slurm, "jobs", lambda ids: {i: found[i] for i in ids if i in found})


def report_of(chain, name):
    return next(job for job in status.look(chain).jobs if job.name == name)


def attempt(chain, name, *, job_id, outcome=None, reason=None, step=None):
    append_event(chain, name, AttemptEvent("start", chains.now(), job_id, 0, checkpoint_step=step))
    if outcome is not None:
        append_event(
            chain,
            name,
            AttemptEvent(
                "end",
                chains.now(),
                job_id,
                0,
                checkpoint_step=step,
                outcome=outcome,
                reason=reason,
            ),
        )


def finish(chain, name):
    path = Path(chain.store) / name / KEYS[name]
    path.mkdir(parents=True)
    result = {"steps": 100, "loss_last": 1.25, "tokens_per_second": 512.0}
    (path / "manifest.json").write_text(json.dumps({"result": result}))


def write_metrics(chain, *, steps, checkpoint=None):
    partial = Path(chain.store) / "train" / f"{KEYS['train']}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    record = {"kind": "train", "loss": 2.5, "tokens": 4096, "seconds": 2.0}
    lines = [json.dumps(record | {"step": step + 1}) for step in range(steps)]
    (partial / "metrics.jsonl").write_text("\n".join([*lines, '{"kind": "tra']))
    if checkpoint is not None:
        (partial / "checkpoints" / f"step-{checkpoint:08d}-validated-00000000").mkdir(parents=True)
    return partial


def test_a_training_shows_step_loss_speed_and_time_left(chain, monkeypatch):
    """30 of 100 steps of 4096 tokens in 2 s: 2048 tokens/s, 140 s left; torn lines do not count."""
    write_metrics(chain, steps=30)
    attempt(chain, "train", job_id="12")
    known(monkeypatch, chain, _12=RECORDED["17_0"], _13=RECORDED["18_0"])
    train = report_of(chain, "train")
    assert (train.state, train.progress.step, train.progress.total_steps) == ("running", 30, 100)
    assert train.progress.loss == 2.5
    assert train.progress.tokens_per_second == 2048.0
    assert train.progress.seconds_left == 140.0
    assert "on node1" in train.why
    assert report_of(chain, "evaluate").why == "after train"
    assert status.look(chain).state == "running"


def test_a_finished_artefact_counts_before_what_slurm_says(chain, monkeypatch):
    """A job whose result is in the store is done, also if Slurm calls the job failed."""
    finish(chain, "prepare")
    known(monkeypatch, chain, _11=RECORDED["3"])
    assert report_of(chain, "prepare").state == "done"


def test_a_result_that_was_damaged_since_is_told_with_the_way_back(chain, monkeypatch):
    """A purge that took the manifest leaves a folder that looks complete; it is not called done,
    and `resubmit` says what to do before anything is queued."""
    for name in KEYS:
        finish(chain, name)
    (Path(chain.store) / "prepare" / KEYS["prepare"] / "manifest.json").unlink()
    known(monkeypatch, chain)
    monkeypatch.setattr(slurm, "scripts_of_my_jobs", dict)
    prepare = report_of(chain, "prepare")
    assert prepare.state == "lost"
    assert "finetune runs --store" in prepare.why
    with pytest.raises(RecipeError, match="finetune runs --store"):
        resubmit(chain)


def test_a_failure_is_told_with_the_reason_that_the_attempt_noted(chain, monkeypatch):
    """The reason is in the job's line and the first one; the next job says whose fault it is."""
    finish(chain, "prepare")
    attempt(chain, "train", job_id="12", outcome="failed", reason="the loss is\nnot a number")
    known(monkeypatch, chain, _12=RECORDED["3"], _13=RECORDED["9"])
    report = status.look(chain)
    assert report.state == "failed"
    assert "train failed: the loss is not a number" in report.headline
    assert "finetune resubmit" in report.headline
    assert report.jobs[2].state == "cancelled"
    assert report.jobs[2].why == "not started, because train did not end well"


def test_what_slurm_has_forgotten_is_told_from_the_files(chain, monkeypatch):
    """After MinJobAge a stopped job is stopped, a failed one failed; one without an end is lost."""
    known(monkeypatch, chain)
    attempt(chain, "prepare", job_id="11", outcome="failed", reason="no texts")
    attempt(chain, "train", job_id="12", outcome="stopped", reason="time limit", step=40)
    write_metrics(chain, steps=40, checkpoint=40)
    attempt(chain, "evaluate", job_id="13")
    jobs = status.look(chain).jobs
    assert [job.state for job in jobs] == ["failed", "stopped", "lost"]
    assert jobs[1].why.startswith("time limit (state of step 40 is kept)")
    assert "no longer knows job 13" in jobs[2].why


def test_a_forgotten_dependant_of_a_failure_is_not_called_lost(chain, monkeypatch):
    """Slurm cancelled it because the job before had failed; that is still known from the files."""
    known(monkeypatch, chain)
    finish(chain, "prepare")
    attempt(chain, "train", job_id="12", outcome="failed", reason="no texts")
    evaluate = report_of(chain, "evaluate")
    assert (evaluate.state, evaluate.why) == (
        "cancelled",
        "not started, because train did not end well",
    )


def test_a_cancelled_chain_is_cancelled_also_when_slurm_forgot_it(chain, monkeypatch):
    """`finetune cancel` is noted, so nobody has to guess later."""
    known(monkeypatch, chain)
    finish(chain, "prepare")
    chains.append_cancellation(chain, ["12", "13"])
    report = status.look(chain)
    assert [job.state for job in report.jobs] == ["done", "cancelled", "cancelled"]
    assert report.state == "cancelled"


def test_without_slurm_the_files_are_shown_and_that_is_said(chain, monkeypatch):
    """A scheduler that does not answer is told, and a started job is still shown with its steps."""

    def refuse(ids):
        raise ClusterError("scontrol show: Unable to contact slurm controller")

    monkeypatch.setattr(slurm, "jobs", refuse)
    attempt(chain, "train", job_id="12")
    write_metrics(chain, steps=7)
    report = status.look(chain)
    assert report.scheduler_problem == "scontrol show: Unable to contact slurm controller"
    train = report.jobs[1]
    assert (train.state, train.progress.step) == ("running", 7)
    assert "last sign of life" in train.why


def test_a_strangers_job_with_the_same_id_is_not_taken_for_ours(chain, monkeypatch):
    """Ids begin again after a reset of Slurm; a job whose script lies elsewhere is none of ours."""
    stranger = replace(RECORDED["17_0"], job_id="12")
    monkeypatch.setattr(slurm, "jobs", lambda _: {"12": stranger})
    train = report_of(chain, "train")
    assert train.state == "lost"
    assert not train.is_active


def test_an_earlier_submission_does_not_speak_for_the_newest(chain, monkeypatch):
    """After `resubmit` the old failure is no longer the job's state, but its start is counted."""
    attempt(chain, "train", job_id="12", outcome="failed", reason="old")
    append_submission(chain, Submission("train", "99", chains.now()))
    attempt(chain, "train", job_id="99")
    known(monkeypatch, chain, _99=RECORDED["17_0"])
    train = report_of(chain, "train")
    assert (train.state, train.job_id, train.restarts) == ("running", "99", 1)
    assert "old" not in train.why


def test_a_purged_checkpoint_is_noticed(chain, monkeypatch):
    """A checkpoint that an attempt reported and that is gone is told, with what follows."""
    known(monkeypatch, chain)
    attempt(chain, "train", job_id="12", outcome="stopped", reason="time limit", step=60)
    write_metrics(chain, steps=60, checkpoint=40)
    (notice,) = report_of(chain, "train").notices
    assert "step 60 is gone" in notice
    assert "goes on from step 40" in notice


@pytest.mark.parametrize(("unused_days", "told"), [(20, False), (26, True)])
def test_a_checkpoint_that_the_site_will_purge_is_noticed(chain, monkeypatch, unused_days, told):
    """A week before the site deletes what nobody used, a chain that waits for somebody says so."""
    known(monkeypatch, chain)
    attempt(chain, "train", job_id="12", outcome="stopped", reason="time limit", step=40)
    partial = write_metrics(chain, steps=40, checkpoint=40)
    file = partial / "checkpoints/step-00000040-validated-00000000/state.json"
    file.write_text("{}")
    then = time.time() - unused_days * 86400
    os.utime(file, (then, then))
    notices = report_of(replace(chain, purge_days=30), "train").notices
    assert [f"{unused_days} d" in notice for notice in notices] == [True] * told


@pytest.mark.parametrize(
    ("silent_seconds", "expected"), [(10, []), (3600, ["no sign of life for 1 h 00 min"])]
)
def test_a_running_job_without_a_heartbeat_is_noticed(chain, monkeypatch, silent_seconds, expected):
    """The lease of the artefact beats every 10 s; one that stopped is told."""
    partial = write_metrics(chain, steps=30)
    lease = partial.with_suffix(".lease")
    lease.write_text(LEASE)
    then = time.time() - silent_seconds
    os.utime(lease, (then, then))
    attempt(chain, "train", job_id="12")
    known(monkeypatch, chain, _12=RECORDED["17_0"])
    found = [notice.partition(";")[0] for notice in report_of(chain, "train").notices]
    assert found == expected


def test_a_job_that_lives_and_gets_no_further_is_noticed(chain, monkeypatch):
    """No new step for longer than twenty steps take, and at least a quarter of an hour."""
    partial = write_metrics(chain, steps=30)
    partial.with_suffix(".lease").write_text(LEASE)
    then = time.time() - 1000
    os.utime(partial / "metrics.jsonl", (then, then))
    attempt(chain, "train", job_id="12")
    known(monkeypatch, chain, _12=RECORDED["17_0"])
    assert report_of(chain, "train").notices[0].startswith("no new step for 16 min")


def test_a_quota_that_is_nearly_used_is_noticed(tmp_path, monkeypatch):
    """Hardly any bytes or files left: one line each, with what to do."""
    real = os.statvfs(tmp_path)
    values = list(real)
    values[4] = 100  # f_bavail
    values[5], values[7] = 1_000_000, 17  # f_files, f_favail
    full = os.statvfs_result(values)
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    mine = [Quota("/scratch", 95 * 2**30, 100 * 2**30, 10, None), Quota("/home", 1, 100, 1, 100)]
    monkeypatch.setattr(notices, "quotas_of", lambda _: mine)
    said = space_notices(tmp_path)
    assert len(said) == 3
    assert "17 more files" in said[1]
    assert said[2].startswith("your quota on /scratch is used to 95 % (95 GiB, 10 files)")


def test_recorded_reasons_are_said_in_plain_words():
    """What a real Slurm printed for waiting jobs is translated, and what never starts is known."""
    words = {RECORDED[i].reason: why_waiting(RECORDED[i]) for i in RECORDED}
    assert words["Resources"].startswith("next in line")
    assert "put back" in words["BeginTime"]
    assert "--array-limit" in words["JobArrayTaskLimit"]
    held = next(j for j in RECORDED.values() if j.reason == "JobHeldUser" and j.is_active)
    assert f"scontrol release {held.job_id}" in why_waiting(held)
    assert never_starts(held)
    assert why_ended(RECORDED["3"]) == "ended with exit code 3"
    assert "did not end well" in why_ended(RECORDED["9"])


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("QOSMaxJobsPerUserLimit", "one person"),
        ("QOSMaxWallDurationPerJobLimit", "time_limit"),
        ("QOSMaxGRESPerUser", "one person"),
        ("QOSMaxNodePerJobLimit", "lower `nodes`"),
        ("QOSGrpNodeLimit", "as a whole"),
        ("AssocGrpCPUMinutesLimit", "computing time is used up"),
        ("AssocGrpGRESMinutes", "computing time is used up"),
        ("AssocGrpGRES", "as much running"),
        ("AssocMaxJobsLimit", "your account"),
        ("ReqNodeNotAvail, UnavailableNodes:node[3-4]", "down or reserved"),
        ("ReqNodeNotAvail,_UnavailableNodes:node2", "down or reserved"),
        ("launch failed requeued held", "scontrol release 7"),
        ("job_requeued_in_held_state", "scontrol release 7"),
        ("SomethingNew", "Slurm says: SomethingNew"),
    ],
)
def test_every_kind_of_reason_says_what_to_do(reason, said):
    """Families of limits are told apart, and a word that nobody knows is shown as it is."""
    job = replace(RECORDED["3"], job_id="7", state="PENDING", reason=reason)
    assert said in why_waiting(job)


def test_no_reason_is_both_waiting_and_stuck():
    """A word belongs to one table, or the other would never be read."""
    assert not set(WAITING) & set(STUCK)


@pytest.mark.parametrize(
    ("state", "reason", "shown"),
    [
        ("PENDING", "job_requeued_in_held_state", "stuck"),
        ("SPECIAL_EXIT", "job_requeued_in_held_state", "stuck"),
        ("PENDING", "PartitionDown", "waiting"),
        ("SUSPENDED", "None", "waiting"),
        ("COMPLETING", "None", "running"),
        ("TIMEOUT", "TimeLimit", "failed"),
        ("NODE_FAIL", "NodeDown", "failed"),
        ("OUT_OF_MEMORY", "OutOfMemory", "failed"),
    ],
)
def test_what_slurm_says_becomes_one_of_few_states(chain, monkeypatch, state, reason, shown):
    """States and reasons as a real Slurm prints them for held, suspended and ended jobs."""
    known(monkeypatch, chain, _12=replace(RECORDED["17_0"], state=state, reason=reason))
    report = status.look(chain)
    assert report.jobs[1].state == shown
    assert report.jobs[1].why
    assert ("will not start by itself" in report.headline) == (shown == "stuck")


def test_a_signal_is_told_as_one():
    """Exit code 0:9 of a failed job is the signal, not a code."""
    job: JobState = replace(RECORDED["3"], exit_code="0:9")
    assert why_ended(job) == "was ended by signal 9"
