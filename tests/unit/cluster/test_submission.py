"""Answers of sbatch on real sites: what is said around an id, late or never, leaves no orphan."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.cluster.chain.chain import Chain, read_submissions
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.submit import queue
from finetune.errors import ClusterError
from tests.support.chain_by_hand import write_chain_by_hand
from tests.support.fake_slurm import queued

AROUND = st.text(st.characters(blacklist_categories=["Cs", "Nd"]), max_size=20)


@pytest.fixture
def chain(tmp_path: Path, constants) -> Chain:
    """Three jobs that are not submitted; a late job is looked for after a moment."""
    constants(queue, _LATE_SECONDS=1.5, _SETTLE_SECONDS=0.1)
    return write_chain_by_hand(tmp_path / "store", steps=5)


@given(before=AROUND, number=st.integers(1, 10**9), cluster=st.sampled_from(["", ";lumi"]))
def test_the_id_is_found_among_what_a_site_says(before, number, cluster):
    """Lines before and after are notes; the name of a federated cluster is none."""
    found = slurm.parse_submitted(
        f"{before}\n{number}{cluster}\n1234 SU are left.\n", notes="low\n"
    )
    assert found.job_id == str(number)
    assert found.notes[-2:] == ("1234 SU are left.", "low")


@pytest.mark.parametrize("printed", ["", "Submitted batch job 7", "7\n8", "job: 7", "7 ;x", "-7"])
def test_an_answer_without_one_id_is_an_error(printed):
    """Nothing is guessed: the text is shown, with what a wrapper has to keep."""
    with pytest.raises(ClusterError) as refused:
        slurm.parse_submitted(printed)
    assert refused.value.codes == ("no-job-id",)
    assert repr(printed.strip()) in str(refused.value)


WRAPPERS = {
    "no id": '"$REAL" "$@" >/dev/null; echo "Thank you."',
    "two ids": '"$REAL" "$@"; echo 1234',
    "fails after": '"$REAL" "$@" && exit 1',
    "late": '"$REAL" "$@"; sleep 30',
    "not yet submitted": '(sleep 3; "$REAL" "$@") | cat',
    "taken late": '(setsid sh -c "sleep 2; $REAL $*" >/dev/null 2>&1 &) ; sleep 30',
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_lost_answer_leaves_no_job(chain, fake_slurm, constants, wrapper):
    """The second of three submissions has no usable answer: all of them are cancelled."""
    constants(slurm, SUBMIT_SECONDS=1.0)
    text = f'case "$*" in *train.sh) {WRAPPERS[wrapper]} ;; *) "$REAL" "$@" ;; esac'
    fake_slurm.wraps("sbatch", text)
    with pytest.raises(ClusterError):
        queue.enqueue(chain, chain.jobs)
    assert queued(fake_slurm.queue) == {}
    cancelled = [state for state in fake_slurm.queue.glob("*/state") if "CANC" in state.read_text()]
    assert len(cancelled) == (1 if wrapper == "not yet submitted" else 2)


def test_jobs_that_cannot_be_cancelled_are_named(chain, fake_slurm):
    """The controller is gone in the middle: the error has the command for later."""
    fake_slurm.wraps("sbatch", '"$REAL" "$@"; echo 1234')
    fake_slurm.refuses("squeue", "Unable to contact slurm controller")
    with pytest.raises(ClusterError) as refused:
        queue.enqueue(chain, chain.jobs)
    assert refused.value.codes == ("no-job-id", "refused-by-slurm", "jobs-perhaps-left")
    assert f"finetune cancel {chain.id}" in str(refused.value)


def test_a_stop_while_submitting_cancels_what_was_submitted(chain, fake_slurm, monkeypatch):
    """Ctrl-C between two submissions leaves no half chain in the queue."""
    real, calls = slurm.submit, []

    def submit(script: Path, **options: object) -> slurm.Submitted:
        calls.append(script)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(script, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(slurm, "submit", submit)
    with pytest.raises(KeyboardInterrupt):
        queue.enqueue(chain, chain.jobs)
    assert queued(fake_slurm.queue) == {}


def test_what_the_site_says_is_kept_once(chain, fake_slurm):
    """Notes of stdout and stderr are with the submission, and shown once for all jobs."""
    fake_slurm.wraps("sbatch", 'echo "sbatch: charged to research" >&2; echo Hi; "$REAL" "$@"')
    sent = queue.enqueue(chain, chain.jobs)
    assert read_submissions(chain) == sent
    assert sent[0].notes == ("Hi", "sbatch: charged to research")
    assert queue.notes_of_site(sent) == ["Hi", "sbatch: charged to research"]


def test_a_process_group_ends_with_its_command(tmp_path, fake_slurm, constants):
    """Programs that a wrapper started do not outlive the time-out."""
    constants(slurm, SUBMIT_SECONDS=0.5)
    mark = tmp_path / "late"
    fake_slurm.wraps("sbatch", f"(sleep 2; touch {mark}) & wait")
    script = tmp_path / "x.sh"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(ClusterError) as late:
        slurm.submit(script, folder=tmp_path)
    assert late.value.codes == ("no-answer-of-slurm",)
    time.sleep(2.5)
    assert not mark.exists()
