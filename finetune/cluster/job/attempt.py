"""Decisions at the start and end of a job attempt: start, requeue, fail, or leave it to Slurm.

The batch script passes facts and acts on the answer, so that no Slurm command is needed inside a
container.

- A clean stop, marked by every rank, is requeued as long as each attempt advances the checkpoint.
- A crash is retried, up to `max_restarts` times, if a checkpoint was written during the attempt.
- A failure (bad input, non-finite loss, out of memory) is final; dependent jobs are cancelled.
- Jobs that Slurm itself ends (cancelled, requeued) are left to Slurm.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune.cluster.chain.chain import (
    AttemptEvent,
    Chain,
    ChainJob,
    Outcome,
    Submission,
    append_event,
    append_submission,
    is_cancelled,
    job_ids,
    now,
    read_events,
    read_submissions,
)
from finetune.cluster.chain.progress import newest_step, shards_done
from finetune.cluster.chain.snapshot import FOLDER, changed_versions
from finetune.cluster.slurm import commands as slurm
from finetune.errors import Stopped
from finetune.launch import outcome as outcomes
from finetune.pipeline.store import Store

Answer = Literal["done", "again", "leave", "fail"]
_ASKED = frozenset(128 + s for s in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT))
"""Exit codes of a process that a signal ended before its handler was installed."""


@dataclass(frozen=True, slots=True)
class Ending:
    """End of an attempt as the batch script saw it."""

    exit_code: int
    """Of srun."""
    signal: str
    """The last signal that the script received (USR1, TERM); empty if none."""
    ranks: Sequence[outcomes.Outcome]
    """Exit records of the ranks."""
    number_of_ranks: int
    state: slurm.JobState | None
    """State of the job in Slurm; None if Slurm did not answer."""


def own_job_id() -> str:
    """Return the id of this process's job, `ARRAY_INDEX` for a task of an array."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ["SLURM_JOB_ID"]


def own_restart() -> int:
    """Return how often Slurm has restarted this job."""
    return int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def begin(chain: Chain, name: str, *, job_id: str, restart: int) -> str:
    """Record the start of an attempt; return `go JOB#NUMBER`, `done`, or `fail` with the reason.

    The batch script reads the first word and continues on `go` only.
    """
    job = chain.job(name)
    number = 1 + sum(event.event == "start" for event in read_events(chain, name))
    log = chain.log_path(name, job_id)
    append_event(
        chain,
        name,
        AttemptEvent(
            event="start",
            time=now(),
            job_id=job_id,
            restart=restart,
            checkpoint_step=checkpoint_step(chain, job),
            log_bytes=log.stat().st_size if log.is_file() else None,
        ),
    )
    if is_made(chain, job):
        _end(chain, name, "done", job_id=job_id, restart=restart, reason="already done")
        return "done"
    problem = _problem(chain, job, job_id=job_id)
    if problem is not None:
        _end(chain, name, "failed", job_id=job_id, restart=restart, reason=problem)
        return f"fail {problem}"
    return f"go {chain.id}/{name}#{number}"


def finish(
    chain: Chain, name: str, ending: Ending, *, job_id: str, restart: int
) -> tuple[Answer, str]:
    """Record the end of an attempt; return the next action of the batch script, and the reason."""
    job = chain.job(name)
    kind, reason = judge(ending, made=is_made(chain, job), checked=bool(job.artefacts))
    attempts = _attempts(chain, name, job_id=job_id)
    step = checkpoint_step(chain, job)
    began = attempts[-1].step if attempts else None
    advanced = step is not None and (began is None or step > began)
    answer: Answer
    if kind in ("done", "failed"):
        answer = "done" if kind == "done" else "fail"
    elif is_cancelled(chain, job_id):
        answer, reason = "leave", f"{reason}; cancelled"
    elif _slurm_decides(ending, restart=restart):
        answer = "leave"
    else:
        limit = chain.max_restarts
        before = attempts[:-1]
        crashes = sum(attempt.outcome == "crashed" for attempt in before)
        tries = _failed_attempts(before) if kind == "stopped" else crashes
        if (advanced and kind == "stopped") or (tries < limit and (advanced or kind == "stopped")):
            answer = "again"
        else:
            answer, kind = "fail", "failed" if kind == "stopped" else kind
            reason = _given_up(reason, advanced=advanced, limit=limit)
    _end(
        chain,
        name,
        kind,
        job_id=job_id,
        restart=restart,
        reason=reason,
        step=step,
        exit_code=ending.exit_code,
    )
    return answer, reason


def judge(ending: Ending, *, made: bool, checked: bool) -> tuple[Outcome, str]:
    """Return the outcome of an attempt, and the reason in one line.

    `made`: whether the job's artefacts are in the store; `checked`: whether it has any.
    """
    failed = [rank for rank in ending.ranks if rank.exit_code not in (0, Stopped.exit_code)]
    stopped = [rank for rank in ending.ranks if rank.exit_code == Stopped.exit_code]
    if made or (not checked and ending.exit_code == 0 and not failed and not stopped):
        return "done", "done"
    for rank in failed:
        if rank.expected:
            return "failed", _whose(rank, ending)
    if failed:
        # ranks that lost contact leave a record; a killed rank leaves none and is the cause
        killed = ending.exit_code > 128 and len(ending.ranks) < ending.number_of_ranks
        return "crashed", _why_crashed(ending) if killed else _whose(failed[0], ending)
    all_stopped = bool(stopped) and len(stopped) == ending.number_of_ranks
    never_ran = bool(ending.signal) and ending.exit_code in (0, Stopped.exit_code)
    if all_stopped or never_ran or ending.exit_code in _ASKED:
        return "stopped", _why_stopped(ending)
    if ending.exit_code == 0:
        return (
            "failed",
            "ended with exit code 0 but without its artefacts; do the jobs use another finetune?",
        )
    return "crashed", _why_crashed(ending)


def is_made(chain: Chain, job: ChainJob) -> bool:
    """Return whether all artefacts of a job are in the store."""
    return bool(job.artefacts) and not _missing(chain, job.artefacts)


def checkpoint_step(chain: Chain, job: ChainJob) -> int | None:
    """Return how far a job has come that the next attempt need not do again, None if nowhere.

    Of a training run: the optimizer step of its newest complete checkpoint; of an evaluation: the
    number of its shards that are measured, with those of the base in the store.
    """
    store = Store(Path(chain.store))
    made = [
        (store.path_of(*one.split("/")), store.partial_of(*one.split("/"))) for one in job.artefacts
    ]
    begun = [folder if folder.is_dir() else partial for folder, partial in made]
    found = [
        newest(folder / name)
        for folder in begun
        if folder is not None
        for name, newest in (("checkpoints", newest_step), ("shards", shards_done))
    ]
    steps = [step for step in found if step is not None]
    return sum(steps) if steps else None


def continued(chain: Chain, name: str, *, job_id: str, by: str) -> list[tuple[str, list[str]]]:
    """Record that job `by` continues `job_id`; return the waiting jobs with their new dependencies.

    Each is a job id and the ids that it now depends on.
    """
    append_submission(chain, Submission(name=name, job_id=by, time=now(), continues=job_id))
    ids = job_ids(chain)
    return [
        (ids[job.name], [ids[other] for other in job.depends_on if other in ids])
        for job in chain.jobs
        if name in job.depends_on and job.name in ids
    ]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """The start of an attempt, with its end if there is one."""

    step: int | None
    outcome: Outcome | None
    next_step: int | None
    """Checkpoint at its end, or at the start of the next attempt."""

    @property
    def advanced(self) -> bool:
        return self.next_step is not None and (self.step is None or self.next_step > self.step)


def _attempts(chain: Chain, name: str, *, job_id: str) -> list[_Attempt]:
    """Return the attempts of a job and of the jobs that it continues, oldest first."""
    before = {s.job_id: s.continues for s in read_submissions(chain)}
    line: set[str] = set()
    current: str | None = job_id
    while current is not None and current not in line:
        line.add(current)
        current = before.get(current)
    attempts: list[_Attempt] = []
    for event in read_events(chain, name):
        if event.job_id not in line:
            continue
        last = attempts[-1] if attempts else None
        if last is not None and last.outcome is None:
            attempts[-1] = _Attempt(last.step, event.outcome, event.checkpoint_step)
        if event.event == "start":
            attempts.append(_Attempt(event.checkpoint_step, None, None))
    return attempts


def _problem(chain: Chain, job: ChainJob, *, job_id: str) -> str | None:
    """Return why an attempt must not start; None if it may."""
    if is_cancelled(chain, job_id):
        return "cancelled"
    missing = _missing(chain, job.inputs)
    if missing:
        return f"{missing[0]} is not in the store {chain.store}; the previous job did not build it"
    changed = changed_versions(chain.folder / FOLDER)
    if changed:
        return f"package versions differ from the submission: {'; '.join(changed)}"
    if _lost(_attempts(chain, job.name, job_id=job_id)[:-1]) > chain.max_restarts:
        return f"lost {chain.max_restarts + 1} times in a row without a new checkpoint"
    return None


def _missing(chain: Chain, artefacts: Sequence[str]) -> list[str]:
    return Store(Path(chain.store)).lacking(artefacts)


def _slurm_decides(ending: Ending, *, restart: int) -> bool:
    """Return whether Slurm or a person is ending the job for good.

    A job at its time limit, preempted, or on a lost node is requeued by the script: Slurm may
    cancel it otherwise, and a second requeue changes nothing.
    """
    state = ending.state
    if state is None:
        return ending.signal == "TERM"
    if state.state == "RUNNING":
        return False
    preempted = state.fields.get("PreemptTime", "None") not in ("None", "Unknown", "")
    ended_by_cluster = preempted or state.reason in ("TimeLimit", "NodeDown", "NodeFail")
    return not ended_by_cluster or state.restarts > restart


def _why_stopped(ending: Ending) -> str:
    reason = "" if ending.state is None else ending.state.reason
    if reason == "TimeLimit":
        return "stopped at its time limit"
    return {
        "USR1": "stopped before its time limit, or preempted",
        "TERM": "stopped by Slurm",
    }.get(ending.signal, "stopped on request")


def _whose(rank: outcomes.Outcome, ending: Ending) -> str:
    where = f"rank {rank.rank}: "
    needed = ending.number_of_ranks > 1 and not rank.reason.startswith(where)
    return where + rank.reason if needed else rank.reason


def _why_crashed(ending: Ending) -> str:
    number = ending.exit_code - 128
    if number not in list(signal.Signals):
        return f"ended with exit code {ending.exit_code}; see its log"
    noted = {rank.rank for rank in ending.ranks}
    silent = [str(r) for r in range(ending.number_of_ranks) if r not in noted]
    killed = (
        f"rank {', '.join(silent[:8])}" if ending.number_of_ranks > 1 and silent else "the process"
    )
    # srun returns the highest exit code: the ranks that it ends itself hide a SIGKILL
    name = "" if ending.exit_code in _ASKED else f" by {signal.Signals(number).name}"
    return f"{killed} was killed{name}" + (
        " (out of memory, or by another process)"
        if number in (signal.SIGKILL, signal.SIGTERM)
        else ""
    )


def _given_up(reason: str, *, advanced: bool, limit: int) -> str:
    if advanced:
        return f"{reason}; already restarted {limit} times (max_restarts)"
    return f"{reason}; no new checkpoint since the last start, so it is not retried"


def _failed_attempts(attempts: Sequence[_Attempt]) -> int:
    """Count the newest attempts that did not advance the checkpoint."""
    count = 0
    for attempt in reversed(attempts):
        if attempt.advanced:
            break
        count += 1
    return count


def _lost(attempts: Sequence[_Attempt]) -> int:
    """Count the newest attempts that ended without a record and did not advance."""
    count = 0
    for attempt in reversed(attempts):
        if attempt.outcome is not None or attempt.advanced:
            break
        count += 1
    return count


def _end(
    chain: Chain,
    name: str,
    kind: Outcome,
    *,
    job_id: str,
    restart: int,
    reason: str,
    step: int | None = None,
    exit_code: int | None = None,
) -> None:
    append_event(
        chain,
        name,
        AttemptEvent(
            event="end",
            time=now(),
            job_id=job_id,
            restart=restart,
            checkpoint_step=step,
            outcome=kind,
            exit_code=exit_code,
            reason=reason,
        ),
    )


def remove_notes(folder: Path) -> None:
    """Delete the exit records of an attempt after they were read."""
    shutil.rmtree(folder, ignore_errors=True)
