"""Decisions of a job's attempt, from the facts of its script."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.cluster.chain.chain import (
    Chain,
    ChainJob,
    Submission,
    append_cancellation,
    append_submission,
    read_events,
    read_submissions,
    write_chain,
)
from finetune.cluster.job.attempt import (
    begin,
    checkpoint_step,
    continued,
    finish,
    nodes_to_avoid,
)
from finetune.cluster.job.verdict import Ending
from finetune.cluster.slurm import commands as slurm
from finetune.launch.outcome import Outcome
from finetune.pipeline.lease import leased
from tests.support.small_recipe import RECIPE

RUNNING = "JobId=7 JobName=t JobState=RUNNING Reason=None Restarts=0 PreemptTime=None"
CANCELLED = "JobId=7 JobName=t JobState=COMPLETING Reason=None Restarts=0 PreemptTime=None"
REQUEUED = "JobId=7 JobName=t JobState=COMPLETING Reason=None Restarts=1 PreemptTime=None"
TIME_LIMIT = "JobId=7 JobName=t JobState=COMPLETING Reason=TimeLimit Restarts=0 PreemptTime=None"
PREEMPTED = (
    "JobId=7 JobName=t JobState=COMPLETING Reason=None Restarts=0 PreemptTime=2026-11-25T01:02:03"
)
SCRIPT = "#!/bin/bash\n#SBATCH --time=04:00:00\n#SBATCH --signal=B:USR1@180\n"
STOPPED = Outcome(rank=0, exit_code=75, reason="stopped on request")


@pytest.fixture
def chain(tmp_path) -> Chain:
    """A chain of two jobs; the input of the first is there."""
    (tmp_path / "store/prepare/p").mkdir(parents=True)
    jobs = (
        ChainJob(
            "train",
            ("train",),
            "scripts/train.sh",
            "logs/train-%j.log",
            artefacts=("train/t",),
            inputs=("prepare/p",),
        ),
        ChainJob(
            "evaluate",
            ("evaluate",),
            "scripts/evaluate.sh",
            "logs/evaluate-%j.log",
            depends_on=("train",),
            artefacts=("evaluate/e",),
            inputs=("train/t",),
        ),
    )
    made = Chain(
        folder=tmp_path / "store/chains/c",
        id="c",
        recipe="project/recipe.json",
        site="here",
        created="2026-11-25T00:00:00+00:00",
        store=str(tmp_path / "store"),
        jobs=jobs,
        max_restarts=2,
    )
    write_chain(made)
    (made.folder / "scripts").mkdir()
    (made.folder / "scripts/train.sh").write_text(SCRIPT)
    return made


def checkpoint(chain: Chain, step: int) -> None:
    folder = Path(chain.store) / "train/t.partial/checkpoints"
    (folder / f"step-{step:08d}-validated-00000000").mkdir(parents=True)
    (folder / f"step-{step + 50:08d}-validated-00000000.tmp").mkdir()


def started(chain: Chain, restart: int = 0, job_id: str = "7") -> str:
    return begin(chain, "train", job_id=job_id, restart=restart)


def ended(
    chain: Chain,
    exit_code: int = 0,
    *,
    ranks: tuple[Outcome, ...] = (),
    of: int = 1,
    signal: str = "",
    state: str = RUNNING,
    restart: int = 0,
    job_id: str = "7",
) -> tuple[str, str]:
    ending = Ending(exit_code, signal, ranks, of, slurm.parse_jobs(state)[0] if state else None)
    return finish(chain, "train", ending, job_id=job_id, restart=restart)


def test_a_job_that_made_its_artefact_is_done(chain):
    """Whatever the exit code: what counts is in the store."""
    assert started(chain) == "go c/train#1"
    (Path(chain.store) / "train/t").mkdir(parents=True)
    assert ended(chain, 137) == ("done", "done")
    assert started(chain, 1) == "done"
    assert [e.outcome for e in read_events(chain, "train")] == [None, "done", None, "done"]


def test_exit_code_0_without_the_artefact_is_no_success(chain):
    """The job reports it instead of letting the next one run."""
    started(chain)
    answer, reason = ended(chain, 0)
    assert answer == "fail"
    assert "without its artefacts" in reason


def test_a_clean_stop_goes_on_as_long_as_it_gets_further(chain):
    """More often than max_restarts, too."""
    for attempt in range(4):
        started(chain, attempt)
        checkpoint(chain, attempt + 1)
        answer, reason = ended(chain, 0, ranks=(STOPPED,), signal="USR1", restart=attempt)
        assert answer == "again"
        assert "before its time limit" in reason
    assert read_events(chain, "train")[-1].checkpoint_step == 4


def test_stops_that_get_no_further_end(chain):
    """Tried max_restarts times, then it fails and states the reason."""
    answers = []
    for attempt in range(3):
        started(chain, attempt)
        answers.append(ended(chain, 0, ranks=(STOPPED,), signal="USR1", restart=attempt))
    assert [answer for answer, _ in answers] == ["again", "again", "fail"]
    assert "no new checkpoint" in answers[-1][1]


def test_a_crash_is_tried_again_only_after_a_checkpoint(chain):
    """And at most max_restarts times."""
    started(chain)
    answer, reason = ended(chain, 137)
    assert answer == "fail"
    assert "SIGKILL" in reason
    answers = []
    for attempt in range(1, 5):
        started(chain, attempt)
        checkpoint(chain, attempt)
        answers.append(ended(chain, 137, restart=attempt)[0])
    assert answers == ["again", "fail", "fail", "fail"]


def test_a_crash_at_the_checkpoint_where_it_began_is_not_tried_again(chain):
    """A checkpoint of an earlier attempt is no progress of this one."""
    started(chain)
    checkpoint(chain, 1)
    assert ended(chain, 137)[0] == "again"
    started(chain, 1)
    assert ended(chain, 137, restart=1)[0] == "fail"


def test_one_failing_rank_is_the_reason_though_the_others_stopped(chain):
    """srun ends the other ranks, which stop cleanly; the message has the real cause."""
    started(chain)
    checkpoint(chain, 5)
    ranks = (STOPPED, Outcome(1, 1, "the loss of step 6 is not finite"))
    answer, reason = ended(chain, 75, ranks=ranks, of=2)
    assert answer == "fail"
    assert reason == "rank 1: the loss of step 6 is not finite"
    assert read_events(chain, "train")[-1].outcome == "failed"


def test_a_killed_rank_is_no_clean_stop(chain):
    """The rank that noted nothing is named."""
    started(chain)
    checkpoint(chain, 5)
    answer, reason = ended(chain, 137, ranks=(STOPPED,), of=2)
    assert answer == "again"
    assert reason.startswith("rank 1 was killed by SIGKILL")


def test_a_killed_rank_is_the_cause_and_not_the_one_that_lost_it(chain):
    """The ranks that are left lose contact, and are ended by srun, whose code hides the SIGKILL."""
    started(chain)
    checkpoint(chain, 5)
    ranks = (Outcome(0, 1, "rank 0: lost contact with another process", expected=False),)
    answer, reason = ended(chain, 143, ranks=ranks, of=2)
    assert answer == "again"
    assert reason.startswith("rank 1 was killed")


def test_an_unexpected_exception_is_a_crash(chain):
    """A bug, a library or the hardware: worth another try if there is a checkpoint."""
    started(chain)
    checkpoint(chain, 5)
    ranks = (Outcome(0, 1, "RuntimeError: NCCL timeout", expected=False),)
    assert ended(chain, 1, ranks=ranks)[0] == "again"


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        (RUNNING, "again"),
        (TIME_LIMIT, "again"),
        (PREEMPTED, "again"),
        (CANCELLED, "leave"),
        (REQUEUED, "leave"),
        ("", "leave"),
    ],
)
def test_what_slurm_or_a_person_ends_is_left_to_them(chain, state, answer):
    """A cancelled job never comes back; one at its limit or preempted goes on."""
    started(chain)
    checkpoint(chain, 5)
    assert ended(chain, 0, ranks=(STOPPED,), signal="TERM", state=state)[0] == answer


def test_a_cancelled_chain_does_not_go_on(chain):
    """`finetune cancel` counts, whatever Slurm says at that moment."""
    started(chain)
    checkpoint(chain, 5)
    append_cancellation(chain, ["7"])
    assert ended(chain, 0, ranks=(STOPPED,), signal="TERM", state=TIME_LIMIT)[0] == "leave"
    assert started(chain, 1).startswith("fail cancelled")


@pytest.mark.parametrize("code", [143, 138])
def test_a_stop_before_the_program_could_handle_it_is_a_stop(chain, code):
    """At start-up Python has no handlers yet."""
    started(chain)
    assert ended(chain, code, signal="USR1")[0] == "again"
    assert read_events(chain, "train")[-1].outcome == "stopped"


def test_a_job_whose_inputs_are_missing_fails_at_once(chain):
    """Slurm runs a job whose predecessor it has forgotten; it must not train on nothing."""
    answer = begin(chain, "evaluate", job_id="8", restart=0)
    assert answer.startswith("fail train/t is not in the store")
    assert read_events(chain, "evaluate")[-1].outcome == "failed"


def test_a_job_that_loses_its_node_again_and_again_fails(chain):
    """Slurm would requeue it endlessly."""
    answers = [started(chain, attempt).split()[0] for attempt in range(5)]
    assert answers == ["go", "go", "go", "fail", "go"]


def test_a_lost_node_after_a_checkpoint_is_no_reason_to_give_up(chain):
    """Each lost attempt had got further."""
    for attempt in range(6):
        assert started(chain, attempt).startswith("go")
        checkpoint(chain, attempt + 1)


def test_another_version_of_a_package_is_noticed_before_work(chain):
    """The jobs run with what was there when submitting, or not at all."""
    folder = chain.folder / "project"
    folder.mkdir()
    (folder / "versions.json").write_text(json.dumps({"torch": "0.0.1"}))
    (folder / "recipe.json").write_text(RECIPE)
    answer = started(chain)
    assert answer.startswith("fail")
    assert "was 0.0.1 at submission" in answer
    (folder / "recipe.json").write_text(RECIPE + "run: {accept_versions: true}\n")
    assert started(chain, 1).startswith("go")


def test_a_continuation_is_noted_and_those_that_wait_are_reported(chain):
    """It has the attempts of its predecessor, and `evaluate` waits for the new job."""
    append_submission(chain, Submission("train", "7", "t"))
    append_submission(chain, Submission("evaluate", "8", "t"))
    started(chain)
    checkpoint(chain, 1)
    ended(chain, 137)
    assert continued(chain, "train", job_id="7", by="9") == [("8", ["9"])]
    assert read_submissions(chain)[-1].continues == "7"
    assert started(chain, job_id="9") == "go c/train#2"
    checkpoint(chain, 2)
    assert ended(chain, 137, job_id="9")[0] == "again"
    continued(chain, "train", job_id="9", by="10")
    started(chain, job_id="10")
    checkpoint(chain, 3)
    assert ended(chain, 137, job_id="10")[0] == "fail"


def test_measured_shards_count_as_progress_of_an_evaluation(chain):
    """A stopped evaluation that measured more shards than before is requeued, else it is not."""
    job = chain.job("evaluate")
    assert checkpoint_step(chain, job) is None
    shards = Path(chain.store) / "evaluate/e.partial/shards/base/held_out_text"
    shards.mkdir(parents=True)
    for name in ("0-00000.jsonl", "0-00001.jsonl", "0-00002.jsonl.4711.tmp", "0-00002.lease"):
        (shards / name).touch()
    assert checkpoint_step(chain, job) == 2


def test_a_finished_measurement_of_the_base_still_counts_as_progress(chain):
    """Shards of the base are of one job with those of the adapter: finishing them loses none."""
    job = replace(chain.job("evaluate"), artefacts=("baseline/b", "evaluate/e"))
    for folder, shards in (("baseline/b", 3), ("evaluate/e.partial", 1)):
        (Path(chain.store) / folder / "shards").mkdir(parents=True)
        for number in range(shards):
            (Path(chain.store) / folder / f"shards/{number}.jsonl").touch()
    assert checkpoint_step(chain, job) == 4


def test_half_written_checkpoints_count_for_nothing(chain):
    """Only what was renamed into place is a step that was reached."""
    job = chain.job("train")
    assert checkpoint_step(chain, job) is None
    checkpoint(chain, 3)
    assert checkpoint_step(chain, job) == 3


LOST = Outcome(0, 1, "rank 0 lost contact", expected=False, of_environment=True, host="node1")
NO_PORT = Outcome(
    0, 1, "rank 0 of 2 on node1: no rendezvous", expected=False, of_environment=True, host="node1"
)
BUG = Outcome(1, 70, "this is a bug", expected=False, host="node2")
ON_TWO = RUNNING + " NodeList=node[1-2] RunTime=00:10:00 TimeLimit=04:00:00"
ALMOST = RUNNING + " RunTime=03:56:30 TimeLimit=04:00:00"


@pytest.mark.parametrize(
    ("case", "advanced", "answer", "said"),
    [
        (dict(signal="USR1", ranks=(STOPPED,), state=ALMOST), True, "again", "time limit"),
        (dict(signal="USR1", ranks=(STOPPED,), state=ALMOST), False, "fail", "4 h 00 min"),
        (dict(exit_code=137, state=TIME_LIMIT), False, "fail", "raise train.time_limit"),
        (dict(exit_code=137, state=TIME_LIMIT), True, "again", "at its time limit"),
        (dict(signal="USR1", ranks=(STOPPED,), state=PREEMPTED), False, "again", "preempted"),
        (dict(signal="USR1", ranks=(STOPPED,), state=ON_TWO), False, "again", "or preempted"),
        (dict(signal="TERM", ranks=(STOPPED,)), False, "again", "stopped by the scheduler"),
        (dict(exit_code=1, ranks=(NO_PORT,), of=2, state=ON_TWO), False, "again", "no rendezvous"),
        (dict(exit_code=1, ranks=(LOST,), of=2, state=ON_TWO), False, "again", "lost contact"),
        (dict(exit_code=70, ranks=(LOST, BUG), of=2, state=ON_TWO), False, "fail", "a bug"),
        (dict(exit_code=70, ranks=(LOST, BUG), of=2, state=ON_TWO), True, "again", "a bug"),
        (
            dict(exit_code=137, ranks=(LOST,), of=2, state=ON_TWO),
            False,
            "fail",
            "rank 1 was killed",
        ),
        (dict(exit_code=2, ranks=(Outcome(0, 2, "bad recipe"),)), True, "fail", "bad recipe"),
    ],
    ids=[
        "time limit with a checkpoint",
        "time limit without",
        "killed at the time limit",
        "killed at the time limit with a checkpoint",
        "preemption",
        "a signal long before the limit",
        "a stop by Slurm",
        "no rendezvous",
        "network",
        "a bug is the cause of lost contact",
        "a bug after a checkpoint",
        "a killed rank",
        "a user's mistake",
    ],
)
def test_what_follows_depends_on_the_cause(chain, case, advanced, answer, said):
    """A limit that is too short and mistakes are final; what the environment did is tried again."""
    started(chain)
    if advanced:
        checkpoint(chain, 5)
    found = ended(chain, **case)
    assert found[0] == answer, found
    assert said in found[1]


def test_faults_of_the_environment_are_tried_max_restarts_times(chain):
    """And then the reason is theirs; the node of which no rank spoke is remembered."""
    answers = []
    for attempt in range(3):
        started(chain, attempt)
        state = ON_TWO.replace("Restarts=0", f"Restarts={attempt}")
        answers.append(ended(chain, 1, ranks=(NO_PORT,), of=2, state=state, restart=attempt))
    assert [answer for answer, _ in answers] == ["again", "again", "fail"]
    assert "max_restarts" in answers[-1][1]
    assert list(read_events(chain, "train")[-1].nodes) == ["node2"]


def test_the_next_attempt_excludes_the_nodes_that_were_suspected(chain):
    """Beside those that the job excludes already; without a suspicion nothing is said."""
    started(chain)
    state = ON_TWO + " ExcNodeList=node[7-8]"
    ended(chain, 1, ranks=(NO_PORT,), of=2, state=state)
    ending = Ending(1, "", (NO_PORT,), 2, slurm.parse_jobs(state)[0])
    assert nodes_to_avoid(chain, "train", ending, job_id="7") == "node7,node8,node2"
    assert nodes_to_avoid(chain, "evaluate", ending, job_id="8") == ""
    append_submission(chain, Submission("train", "9", "t", continues="7"))
    nothing = replace(ending, state=None)
    assert nodes_to_avoid(chain, "train", nothing, job_id="9") == "node2"


def test_a_limit_that_was_spent_on_waiting_for_another_chain_is_not_too_short(chain):
    """The other chain builds the artefact; this job may wait once more."""
    started(chain)
    path = Path(chain.store) / "train/t"
    path.parent.mkdir()
    with leased(path.with_name("t.lease"), waiting=print) as hold:
        path.with_name(f"t.{hold.nonce}.partial").mkdir()
        assert ended(chain, signal="USR1", ranks=(STOPPED,), state=ALMOST)[0] == "again"


def test_another_artefact_in_the_store_is_progress_of_a_job_without_checkpoints(chain):
    """A job that made the first of its two in time makes the second in its next attempt."""
    two = replace(chain.job("train"), artefacts=("base/b", "train/t"))
    chain = replace(chain, jobs=(two, *chain.jobs[1:]))
    started(chain)
    (Path(chain.store) / "base/b").mkdir(parents=True)
    assert ended(chain, signal="USR1", ranks=(STOPPED,), state=ALMOST)[0] == "again"
    started(chain, 1)
    again = ALMOST.replace("Restarts=0", "Restarts=1")
    answer, reason = ended(chain, signal="USR1", ranks=(STOPPED,), state=again, restart=1)
    assert (answer, "train.time_limit" in reason) == ("fail", True)
