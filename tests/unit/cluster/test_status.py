"""A chain is followed from Slurm's words and the files alone, whatever is missing of them."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from finetune.cluster.chain import chain as chains
from finetune.cluster.chain.chain import AttemptEvent, Submission, append_event, append_submission
from finetune.cluster.follow import status
from finetune.cluster.follow.notices import space_notices
from finetune.cluster.slurm.commands import JobState, parse_jobs
from finetune.cluster.slurm.reasons import never_starts, why_ended, why_waiting
from finetune.cluster.submit.resubmit import resubmit
from finetune.errors import RecipeError
from finetune.launch.pulse import Beat
from finetune.pipeline.builder import this_builder
from tests.support.artefacts import finished
from tests.support.chain_by_hand import KEYS, write_chain_by_hand
from tests.support.problems import raises
from tests.support.results import train_result

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


def known(slurm, chain, **jobs):
    """Make Slurm know jobs: `_12=recorded job`; all others it has forgotten."""
    for name, job in jobs.items():
        said = {"JobId": name[1:], "JobState": job.state, "Reason": job.reason}
        said["Command"] = str(chain.folder / "scripts" / "x.sh")
        own = {key: value for key, value in job.fields.items() if not key.startswith("Array")}
        slurm.knows(name[1:], " ".join(f"{key}={value}" for key, value in (own | said).items()))


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
    finished(path, result=train_result(steps=100, loss_last=1.25, tokens_per_second=512.0))


def write_metrics(chain, *, steps, checkpoint=None):
    partial = Path(chain.store) / "train" / f"{KEYS['train']}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    record = {"kind": "train", "loss": 2.5, "tokens": 4096, "seconds": 2.0}
    lines = [json.dumps(record | {"step": step + 1}) for step in range(steps)]
    (partial / "metrics.jsonl").write_text("\n".join([*lines, '{"kind": "tra']))
    if checkpoint is not None:
        (partial / "checkpoints" / f"step-{checkpoint:08d}-validated-00000000").mkdir(parents=True)
    return partial


def test_a_training_shows_step_loss_speed_and_time_left(chain, fake_slurm):
    """30 of 100 steps of 4096 tokens in 2 s: 2048 tokens/s, 140 s left; torn lines do not count."""
    write_metrics(chain, steps=30)
    attempt(chain, "train", job_id="12")
    known(fake_slurm, chain, _12=RECORDED["17_0"], _13=RECORDED["18_0"])
    train = report_of(chain, "train")
    assert (train.state, train.progress.step, train.progress.total_steps) == ("running", 30, 100)
    assert train.progress.loss == 2.5
    assert train.progress.tokens_per_second == 2048.0
    assert train.progress.seconds_left == 140.0
    assert "on node1" in train.why
    assert report_of(chain, "evaluate").why == "after train"
    assert status.look(chain).state == "running"


def test_a_finished_artefact_counts_before_what_slurm_says(chain, fake_slurm):
    """A job whose result is in the store is done, also if Slurm calls the job failed."""
    finish(chain, "prepare")
    known(fake_slurm, chain, _11=RECORDED["3"])
    assert report_of(chain, "prepare").state == "done"


def test_a_result_that_was_damaged_since_is_reported_with_the_way_back(chain, fake_slurm):
    """A purge that took the manifest leaves a folder that looks complete; it is not called done,
    and `resubmit` states the remedy before anything is queued."""
    for name in KEYS:
        finish(chain, name)
    (Path(chain.store) / "prepare" / KEYS["prepare"] / "manifest.json").unlink()
    known(fake_slurm, chain)
    prepare = report_of(chain, "prepare")
    assert prepare.state == "lost"
    assert "finetune runs --store" in prepare.why
    with raises(RecipeError, code="damaged-artefact") as caught:
        resubmit(chain)
    assert "finetune runs --store" in str(caught.value.problems[0].facts["why"])


def test_a_failure_is_reported_with_the_reason_that_the_attempt_noted(chain, fake_slurm):
    """The reason is in the job's line and the first one; the next job says whose fault it is."""
    finish(chain, "prepare")
    attempt(chain, "train", job_id="12", outcome="failed", reason="the loss is\nnot a number")
    known(fake_slurm, chain, _12=RECORDED["3"], _13=RECORDED["9"])
    report = status.look(chain)
    assert report.state == "failed"
    assert "train failed: the loss is not a number" in report.headline
    assert "finetune resubmit" in report.headline
    assert report.jobs[2].state == "cancelled"
    assert report.jobs[2].why == "not started: train failed"


def test_what_slurm_has_forgotten_is_reported_from_the_files(chain, fake_slurm):
    """After MinJobAge a stopped job is stopped, a failed one failed; one without an end is lost."""
    known(fake_slurm, chain)
    attempt(chain, "prepare", job_id="11", outcome="failed", reason="no texts")
    attempt(chain, "train", job_id="12", outcome="stopped", reason="time limit", step=40)
    write_metrics(chain, steps=40, checkpoint=40)
    attempt(chain, "evaluate", job_id="13")
    jobs = status.look(chain).jobs
    assert [job.state for job in jobs] == ["failed", "stopped", "lost"]
    assert jobs[1].why.startswith("time limit (checkpoint at step 40 kept)")
    assert "no exit record" in jobs[2].why


def test_a_forgotten_dependant_of_a_failure_is_not_called_lost(chain, fake_slurm):
    """Slurm cancelled it because the job before had failed; that is still known from the files."""
    known(fake_slurm, chain)
    finish(chain, "prepare")
    attempt(chain, "train", job_id="12", outcome="failed", reason="no texts")
    evaluate = report_of(chain, "evaluate")
    assert (evaluate.state, evaluate.why) == (
        "cancelled",
        "not started: train failed",
    )


def test_a_cancelled_chain_is_cancelled_also_when_slurm_forgot_it(chain, fake_slurm):
    """`finetune cancel` is recorded."""
    known(fake_slurm, chain)
    finish(chain, "prepare")
    chains.append_cancellation(chain, ["12", "13"])
    report = status.look(chain)
    assert [job.state for job in report.jobs] == ["done", "cancelled", "cancelled"]
    assert report.state == "cancelled"


def test_without_slurm_the_files_are_shown_and_that_is_said(chain, fake_slurm):
    """A scheduler without an answer is reported; a started job is still shown with its steps."""
    fake_slurm.refuses("scontrol", "Unable to contact slurm controller")
    attempt(chain, "train", job_id="12")
    write_metrics(chain, steps=7)
    report = status.look(chain)
    assert report.scheduler_problem == "scontrol show: Unable to contact slurm controller"
    train = report.jobs[1]
    assert (train.state, train.progress.step) == ("running", 7)
    assert "last heartbeat" in train.why


def test_a_strangers_job_with_the_same_id_is_not_taken_for_ours(chain, fake_slurm):
    """Ids begin again after a reset of Slurm; a job whose script lies elsewhere is none of ours."""
    stranger = "/scratch/store/chains/other/scripts/train.sh"
    fake_slurm.knows("12", f"JobId=12 JobState=RUNNING Reason=None Command={stranger}")
    train = report_of(chain, "train")
    assert train.state == "lost"
    assert not train.is_active


def test_an_earlier_submission_does_not_speak_for_the_newest(chain, fake_slurm):
    """After `resubmit` the old failure is no longer the job's state, but its start is counted."""
    attempt(chain, "train", job_id="12", outcome="failed", reason="old")
    append_submission(chain, Submission("train", "99", chains.now()))
    attempt(chain, "train", job_id="99")
    known(fake_slurm, chain, _99=RECORDED["17_0"])
    train = report_of(chain, "train")
    assert (train.state, train.job_id, train.restarts) == ("running", "99", 1)
    assert "old" not in train.why


def test_a_purged_checkpoint_is_noticed(chain, fake_slurm):
    """A checkpoint that an attempt reported and that is gone is reported, with the consequence."""
    known(fake_slurm, chain)
    attempt(chain, "train", job_id="12", outcome="stopped", reason="time limit", step=60)
    write_metrics(chain, steps=60, checkpoint=40)
    (notice,) = report_of(chain, "train").notices
    assert "step 60 no longer exists" in notice
    assert "resumes from the checkpoint at step 40" in notice


@pytest.mark.parametrize(("unused_days", "warned"), [(20, False), (26, True)])
def test_a_checkpoint_that_the_site_will_purge_is_noticed(chain, fake_slurm, unused_days, warned):
    """A week before the site deletes unused files, a waiting chain warns."""
    known(fake_slurm, chain)
    attempt(chain, "train", job_id="12", outcome="stopped", reason="time limit", step=40)
    partial = write_metrics(chain, steps=40, checkpoint=40)
    file = partial / "checkpoints/step-00000040-validated-00000000/state.json"
    file.write_text("{}")
    then = time.time() - unused_days * 86400
    os.utime(file, (then, then))
    notices = report_of(replace(chain, purge_days=30), "train").notices
    assert [f"{unused_days} d" in notice for notice in notices] == [True] * warned


@pytest.mark.parametrize(
    ("silent_seconds", "expected"), [(10, []), (3600, ["no heartbeat for 1 h 00 min"])]
)
def test_a_running_job_without_a_heartbeat_is_noticed(chain, fake_slurm, silent_seconds, expected):
    """The lease of the artefact beats every 10 s; one that stopped is reported."""
    partial = write_metrics(chain, steps=30)
    lease = partial.with_suffix(".lease")
    lease.write_text(LEASE)
    then = time.time() - silent_seconds
    os.utime(lease, (then, then))
    attempt(chain, "train", job_id="12")
    known(fake_slurm, chain, _12=RECORDED["17_0"])
    found = [notice.partition(";")[0] for notice in report_of(chain, "train").notices]
    assert found == expected


def test_a_job_that_lives_and_gets_no_further_is_noticed(chain, fake_slurm):
    """No new step for longer than twenty steps take, and at least a quarter of an hour."""
    partial = write_metrics(chain, steps=30)
    partial.with_suffix(".lease").write_text(LEASE)
    then = time.time() - 1000
    os.utime(partial / "metrics.jsonl", (then, then))
    attempt(chain, "train", job_id="12")
    known(fake_slurm, chain, _12=RECORDED["17_0"])
    assert report_of(chain, "train").notices[0].startswith("no new step for 16 min")


@pytest.mark.parametrize(
    ("launch", "is_noticed"), [("slurm-12-0-0", True), ("slurm-11-0-0", False)]
)
def test_a_rank_that_hangs_is_noticed_if_it_is_of_the_running_launch(
    chain, fake_slurm, launch, is_noticed
):
    """As another rank has seen it; a file of an earlier launch says nothing."""
    partial = write_metrics(chain, steps=30)
    holder = replace(this_builder("0" * 12, beat="0"), launch="slurm-12-0-0")
    partial.with_suffix(".lease").write_text(json.dumps(asdict(holder)))
    (partial / "beats").mkdir()
    line = "no step for 2 min: rank 3 on node7 last seen at step 30 (forward pass)"
    beat = Beat(0, "node1", launch, 30, 1, "forward pass", 40, line)
    (partial / "beats/rank-0.json").write_text(json.dumps(asdict(beat)))
    attempt(chain, "train", job_id="12")
    known(fake_slurm, chain, _12=RECORDED["17_0"])
    found = [notice.partition(";")[0] for notice in report_of(chain, "train").notices]
    assert found == [line] * is_noticed


def test_a_quota_that_is_nearly_used_is_noticed(tmp_path, variables):
    """Hardly any bytes or files left: one line each, with what to do."""
    real = os.statvfs(tmp_path)
    values = list(real)
    values[4] = 100  # f_bavail
    values[5], values[7] = 1_000_000, 17  # f_files, f_favail
    full = os.statvfs_result(values)
    quota = tmp_path / "quota"
    kib, limit = 95 * 2**20, 100 * 2**20
    quota.write_text(
        f"#!/bin/sh\necho /scratch {kib} 0 {limit} 0 10 0 0 0 /home 1 0 100 0 1 0 100 0\n"
    )
    quota.chmod(0o755)
    variables(PATH=str(tmp_path))
    said = space_notices(tmp_path, statvfs=lambda _: full)
    assert len(said) == 3
    assert "17 free inodes" in said[1]
    assert said[2].startswith("your quota on /scratch is 95 % used (95 GiB, 10 files)")


def test_recorded_reasons_are_said_in_plain_words():
    """Reasons of pending jobs from a real Slurm are explained, and hopeless ones are known."""
    words = {RECORDED[i].reason: why_waiting(RECORDED[i]) for i in RECORDED}
    assert words["Resources"].startswith("next in the queue")
    assert "requeued" in words["BeginTime"]
    assert "--array-limit" in words["JobArrayTaskLimit"]
    held = next(j for j in RECORDED.values() if j.reason == "JobHeldUser" and j.is_active)
    assert f"scontrol release {held.job_id}" in why_waiting(held)
    assert never_starts(held)
    assert why_ended(RECORDED["3"]) == "ended with exit code 3"
    assert "depends on failed" in why_ended(RECORDED["9"])


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("QOSMaxJobsPerUserLimit", "your limit in the QOS"),
        ("QOSMaxWallDurationPerJobLimit", "time_limit"),
        ("QOSMaxGRESPerUser", "your limit in the QOS"),
        ("QOSMaxNodePerJobLimit", "lower `nodes`"),
        ("QOSGrpNodeLimit", "shared limit"),
        ("AssocGrpCPUMinutesLimit", "computing time of your project is used"),
        ("AssocGrpGRESMinutes", "computing time of your project is used"),
        ("AssocGrpGRES", "limit of your project"),
        ("AssocMaxJobsLimit", "your account"),
        ("ReqNodeNotAvail, UnavailableNodes:node[3-4]", "down or reserved"),
        ("ReqNodeNotAvail,_UnavailableNodes:node2", "down or reserved"),
        ("launch failed requeued held", "scontrol release 7"),
        ("job_requeued_in_held_state", "scontrol release 7"),
        ("SomethingNew", "Slurm: SomethingNew"),
    ],
)
def test_every_kind_of_reason_says_what_to_do(reason, said):
    """Families of limits differ, and an unknown word is shown as it is."""
    job = replace(RECORDED["3"], job_id="7", state="PENDING", reason=reason)
    assert said in why_waiting(job)


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
def test_what_slurm_says_becomes_one_of_few_states(chain, fake_slurm, state, reason, shown):
    """States and reasons as a real Slurm prints them for held, suspended and ended jobs."""
    known(fake_slurm, chain, _12=replace(RECORDED["17_0"], state=state, reason=reason))
    report = status.look(chain)
    assert report.jobs[1].state == shown
    assert report.jobs[1].why
    assert ("cannot start as submitted" in report.headline) == (shown == "stuck")


def test_a_signal_is_reported_as_one():
    """Exit code 0:9 of a failed job is the signal, not a code."""
    job: JobState = replace(RECORDED["3"], exit_code="0:9")
    assert why_ended(job) == "ended by signal 9"


def test_notes_of_the_script_explain_an_end_without_a_record(chain, fake_slurm):
    """A set-up that ended the job, and a set-up line that failed, are shown with what to do."""
    known(fake_slurm, chain, _11=RECORDED["3"])
    notes = chain.folder / "attempts/prepare-11-0.txt"
    notes.parent.mkdir(exist_ok=True)
    notes.write_text("begun\nfailed: module load x: exit code 1\n")
    report = report_of(chain, "prepare")
    assert (report.state, report.why.partition(",")[0]) == (
        "failed",
        "the setup of the site ended the job",
    )
    assert "`module load x` failed (exit code 1) in prepare" in status.look(chain).notices[0]
    attempt(chain, "prepare", job_id="11", outcome="failed", reason="no such file")
    assert report_of(chain, "prepare").why == "no such file"
