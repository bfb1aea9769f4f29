"""What a job does about itself: at the start of an attempt, at its end, and what comes next.

A batch script asks and acts; the judging is here, on facts that the script hands over, so that it
works inside a container that has none of Slurm's commands.

- A clean stop, marked by every rank, goes back into the queue; as long as each attempt gets
  further, any number of times.
- A crash is tried again if a checkpoint was written since the attempt began, `max_restarts` times.
- A failure (bad input, loss not finite, out of memory) is final: what waits for it is cancelled.
- What Slurm itself ends (cancelled, requeued) is left to Slurm.
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
from finetune.cluster.chain.progress import newest_step
from finetune.cluster.chain.snapshot import FOLDER, changed_versions
from finetune.cluster.slurm import commands as slurm
from finetune.errors import Stopped
from finetune.launch import outcome as outcomes
from finetune.pipeline.store import Store

Answer = Literal["done", "again", "leave", "fail"]
_ASKED = frozenset(128 + s for s in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT))
"""Exit codes of a process that was asked to stop before it could handle that."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What the batch script saw of an attempt."""

    exit_code: int
    """Of srun."""
    told: str
    """The signal that the script got first, or nothing."""
    ranks: Sequence[outcomes.Outcome]
    """What the ranks noted."""
    number_of_ranks: int
    state: slurm.JobState | None
    """What Slurm says of the job now; None if it could not be asked."""


def own_job_id() -> str:
    """Return the id of the job that this process is in, `ARRAY_INDEX` for a task of an array."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ["SLURM_JOB_ID"]


def own_restart() -> int:
    """Return how often Slurm had started this job before."""
    return int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def begin(chain: Chain, name: str, *, job_id: str, restart: int) -> str:
    """Note the start of an attempt; return `go JOB#NUMBER`, `done`, or `fail` with the reason.

    The first word is for the batch script, which does not go on without `go`.
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
        _end(chain, name, "done", job_id=job_id, restart=restart, reason="was done before")
        return "done"
    problem = _problem(chain, job, job_id=job_id)
    if problem is not None:
        _end(chain, name, "failed", job_id=job_id, restart=restart, reason=problem)
        return f"fail {problem}"
    return f"go {chain.id}/{name}#{number}"


def finish(
    chain: Chain, name: str, ending: Ending, *, job_id: str, restart: int
) -> tuple[Answer, str]:
    """Note the end of an attempt; return what the batch script does now, and why."""
    job = chain.job(name)
    kind, reason = judge(ending, made=is_made(chain, job), checked=bool(job.artefacts))
    attempts = _attempts(chain, name, job_id=job_id)
    step = checkpoint_step(chain, job)
    began = attempts[-1].step if attempts else None
    further = step is not None and (began is None or step > began)
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
        tries = _in_vain(before) if kind == "stopped" else crashes
        if (further and kind == "stopped") or (tries < limit and (further or kind == "stopped")):
            answer = "again"
        else:
            answer, kind = "fail", "failed" if kind == "stopped" else kind
            reason = _given_up(reason, further=further, limit=limit)
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
    """Return how an attempt ended, and why in one line.

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
        # those that lost contact say so; one that was killed says nothing and is the cause
        killed = ending.exit_code > 128 and len(ending.ranks) < ending.number_of_ranks
        return "crashed", _why_crashed(ending) if killed else _whose(failed[0], ending)
    all_stopped = bool(stopped) and len(stopped) == ending.number_of_ranks
    never_ran = bool(ending.told) and ending.exit_code in (0, Stopped.exit_code)
    if all_stopped or never_ran or ending.exit_code in _ASKED:
        return "stopped", _why_stopped(ending)
    if ending.exit_code == 0:
        return "failed", "ended without what it was to make; do the jobs use another finetune?"
    return "crashed", _why_crashed(ending)


def is_made(chain: Chain, job: ChainJob) -> bool:
    """Whether everything that a job makes is in the store."""
    return bool(job.artefacts) and not _missing(chain, job.artefacts)


def checkpoint_step(chain: Chain, job: ChainJob) -> int | None:
    """Return the optimizer step of the newest whole checkpoint of a job, None without one."""
    folders = [Path(chain.store) / f"{made}.partial" / "checkpoints" for made in job.artefacts]
    steps = [step for step in map(newest_step, folders) if step is not None]
    return max(steps, default=None)


def continued(chain: Chain, name: str, *, job_id: str, by: str) -> list[tuple[str, list[str]]]:
    """Note that job `by` goes on from `job_id`; return the jobs that wait, each with all its ids.

    The ids are those it has to wait for from now on.
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
    """A start, with its end if it came to one."""

    step: int | None
    outcome: Outcome | None
    next_step: int | None
    """At its end, or else when the next attempt began."""

    @property
    def got_further(self) -> bool:
        return self.next_step is not None and (self.step is None or self.next_step > self.step)


def _attempts(chain: Chain, name: str, *, job_id: str) -> list[_Attempt]:
    """Return the attempts of this job and of those that it continues, oldest first."""
    before = {s.job_id: s.continues for s in read_submissions(chain)}
    line: set[str] = set()
    current: str | None = job_id
    while current is not None and current not in line:
        line.add(current)
        current = before.get(current)
    found: list[_Attempt] = []
    for event in read_events(chain, name):
        if event.job_id not in line:
            continue
        last = found[-1] if found else None
        if last is not None and last.outcome is None:
            found[-1] = _Attempt(last.step, event.outcome, event.checkpoint_step)
        if event.event == "start":
            found.append(_Attempt(event.checkpoint_step, None, None))
    return found


def _problem(chain: Chain, job: ChainJob, *, job_id: str) -> str | None:
    """Say why an attempt must not begin."""
    if is_cancelled(chain, job_id):
        return "cancelled"
    missing = _missing(chain, job.inputs)
    if missing:
        return f"{missing[0]} is not in the store {chain.store}; the job before did not make it"
    changed = changed_versions(chain.folder / FOLDER)
    if changed:
        return f"not what the chain was submitted with: {'; '.join(changed)}"
    if _lost(_attempts(chain, job.name, job_id=job_id)[:-1]) > chain.max_restarts:
        return f"lost {chain.max_restarts + 1} times in a row without getting further"
    return None


def _missing(chain: Chain, artefacts: Sequence[str]) -> list[str]:
    return Store(Path(chain.store)).lacking(artefacts)


def _slurm_decides(ending: Ending, *, restart: int) -> bool:
    """Whether Slurm is ending the job by a decision of its own or of a person.

    A job at its time limit, preempted, or on a lost node goes on by itself: Slurm may cancel it for
    good there, and where it does requeue it, our asking once more changes nothing.
    """
    state = ending.state
    if state is None:
        return ending.told == "TERM"
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
        "USR1": "told to stop before its time limit or to give way",
        "TERM": "stopped by Slurm",
    }.get(ending.told, "stopped on request")


def _whose(rank: outcomes.Outcome, ending: Ending) -> str:
    where = f"rank {rank.rank}: "
    needed = ending.number_of_ranks > 1 and not rank.reason.startswith(where)
    return where + rank.reason if needed else rank.reason


def _why_crashed(ending: Ending) -> str:
    number = ending.exit_code - 128
    if number not in list(signal.Signals):
        return f"ended with exit code {ending.exit_code}; its log says more"
    noted = {rank.rank for rank in ending.ranks}
    silent = [str(r) for r in range(ending.number_of_ranks) if r not in noted]
    who = f"rank {', '.join(silent[:8])}" if ending.number_of_ranks > 1 and silent else "it"
    # of several codes srun gives the highest: ranks that it ends itself hide a SIGKILL
    name = "" if ending.exit_code in _ASKED else f" by {signal.Signals(number).name}"
    return f"{who} was killed{name}" + (
        " (out of memory, or from outside)" if number in (signal.SIGKILL, signal.SIGTERM) else ""
    )


def _given_up(reason: str, *, further: bool, limit: int) -> str:
    if further:
        return f"{reason}; restarted {limit} times already (max_restarts)"
    return f"{reason}; got no further than before, so it is not tried again"


def _in_vain(attempts: Sequence[_Attempt]) -> int:
    """Count the attempts at the end of the list that got no further."""
    count = 0
    for attempt in reversed(attempts):
        if attempt.got_further:
            break
        count += 1
    return count


def _lost(attempts: Sequence[_Attempt]) -> int:
    """Count the attempts at the end of the list that vanished, with their node, and in vain."""
    count = 0
    for attempt in reversed(attempts):
        if attempt.outcome is not None or attempt.got_further:
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
    """Delete what the ranks of an attempt noted, once it was read."""
    shutil.rmtree(folder, ignore_errors=True)
