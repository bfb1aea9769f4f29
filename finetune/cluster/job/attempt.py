"""Decisions at the start and end of a job attempt: start, requeue, fail, or leave it to Slurm.

The batch script passes facts and acts on the answer, so that no Slurm command is needed inside a
container. What follows from each cause of an end is the table of `verdict`; jobs that Slurm itself
ends (cancelled, requeued) are left to Slurm.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

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
from finetune.cluster.job.batch_script import time_limit_seconds
from finetune.cluster.job.used import used
from finetune.cluster.job.verdict import Clock, Ending, Verdict, is_preempted, judge, to_avoid
from finetune.cluster.slurm.allocation import allocated_here, allocated_of, tres_of
from finetune.output.durations import duration
from finetune.pipeline.store import Store
from finetune.spec.load import load_recipe

Answer = Literal["done", "again", "leave", "fail"]
_TIME = re.compile(r"^#SBATCH --time=(\S+)$", re.MULTILINE)
_GRACE = re.compile(r"^#SBATCH --signal=B:USR1@(\d+)$", re.MULTILINE)
_DURATION = re.compile(r"(\d+-)?\d+(:\d+){0,2}")


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
    if not chain.asks_slurm and job_id not in {s.job_id for s in read_submissions(chain)}:
        append_submission(chain, Submission(name=name, job_id=job_id, time=now()))
    append_event(
        chain,
        name,
        AttemptEvent(
            event="start",
            time=now(),
            job_id=job_id,
            restart=restart,
            checkpoint_step=checkpoint_step(chain, job),
            artefacts_made=_made(chain, job),
            log_bytes=log.stat().st_size if log.is_file() else None,
            allocated=allocated_here(os.environ),
        ),
    )
    if is_made(chain, job):
        _end(chain, name, "done", job_id=job_id, restart=restart, reason="already done", final=True)
        return "done"
    problem = _problem(chain, job, job_id=job_id)
    if problem is not None:
        _end(chain, name, "failed", job_id=job_id, restart=restart, reason=problem, final=True)
        return f"fail {problem}"
    return f"go {chain.id}/{name}#{number}"


def finish(
    chain: Chain, name: str, ending: Ending, *, job_id: str, restart: int
) -> tuple[Answer, str]:
    """Record the end of an attempt; return the next action of the batch script, and the reason."""
    job = chain.job(name)
    attempts = _attempts(chain, name, job_id=job_id)
    clock = _clock(chain, job, ending, began=_began(chain, name, job_id=job_id))
    verdict = judge(ending, made=is_made(chain, job), checked=bool(job.artefacts), clock=clock)
    reason, kind = verdict.reason, verdict.outcome
    step, made = checkpoint_step(chain, job), _made(chain, job)
    began = attempts[-1] if attempts else _Attempt()
    now_at = replace(began, outcome=kind, next_step=step, next_made=made)
    answer: Answer
    if kind in ("done", "failed"):
        answer = "done" if kind == "done" else "fail"
    elif is_cancelled(chain, job_id):
        answer, reason = "leave", f"{reason}; cancelled"
    elif _slurm_decides(ending, restart=restart):
        answer = "leave"
    else:
        before = attempts[:-1]
        short = "" if _waits_for_another(chain, job) else _too_short(job, clock)
        why_not = _why_final(
            verdict,
            advanced=now_at.advanced,
            before=before,
            limit=chain.max_restarts,
            short=short,
        )
        answer = "fail" if why_not else "again"
        if why_not:
            reason = f"{reason}; {why_not}"
            kind = "failed" if kind == "stopped" else kind
    _end(
        chain,
        name,
        kind,
        job_id=job_id,
        restart=restart,
        reason=reason,
        checkpoint_step=step,
        exit_code=ending.exit_code,
        artefacts_made=made,
        nodes=verdict.nodes,
        final=answer in ("done", "fail") or None,
        ran_seconds=clock.ran,
        **used(ending.ranks, number_of_ranks=ending.number_of_ranks),
        allocated=None if ending.state is None else allocated_of(tres_of(ending.state)),
    )
    return answer, reason


def nodes_to_avoid(chain: Chain, name: str, ending: Ending, *, job_id: str) -> str:
    """Return the nodes to exclude from the next attempt at a job, "" for none."""
    line = _line(chain, job_id)
    ends = [event for event in read_events(chain, name) if event.job_id in line]
    return to_avoid(ending.state, [node for event in ends for node in event.nodes])


def _why_final(
    verdict: Verdict, *, advanced: bool, before: Sequence[_Attempt], limit: int, short: str
) -> str | None:
    """Return why a job is not tried again after an attempt; None if it is.

    `limit`: restarts after crashes; `short`: what to say of a time limit that is too short, empty
    if the attempt only waited.
    """
    stops = verdict.outcome == "stopped"
    if stops and advanced:
        return None
    if verdict.cause == "time limit" and short:
        return short
    if verdict.cause == "crash" and not advanced:
        return "no new checkpoint since the last start, so it is not retried"
    crashes = sum(attempt.outcome == "crashed" for attempt in before)
    if (_failed_attempts(before) if stops else crashes) < limit:
        return None
    if advanced:
        return f"already restarted {limit} times (max_restarts)"
    return f"no new checkpoint in {limit + 1} attempts (max_restarts)"


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

    step: int | None = None
    made: int = 0
    outcome: Outcome | None = None
    next_step: int | None = None
    """Checkpoint at its end, or at the start of the next attempt."""
    next_made: int = 0

    @property
    def advanced(self) -> bool:
        further = self.next_step is not None and (self.step is None or self.next_step > self.step)
        return further or self.next_made > self.made


def _line(chain: Chain, job_id: str) -> set[str]:
    """Return the ids of a job and of the jobs that it continues."""
    before = {s.job_id: s.continues for s in read_submissions(chain)}
    line: set[str] = set()
    current: str | None = job_id
    while current is not None and current not in line:
        line.add(current)
        current = before.get(current)
    return line


def _attempts(chain: Chain, name: str, *, job_id: str) -> list[_Attempt]:
    """Return the attempts of a job and of the jobs that it continues, oldest first."""
    line = _line(chain, job_id)
    attempts: list[_Attempt] = []
    for event in read_events(chain, name):
        if event.job_id not in line:
            continue
        last = attempts[-1] if attempts else None
        if last is not None and last.outcome is None:
            attempts[-1] = replace(
                last,
                outcome=event.outcome,
                next_step=event.checkpoint_step,
                next_made=event.artefacts_made,
            )
        if event.event == "start":
            attempts.append(_Attempt(event.checkpoint_step, event.artefacts_made))
    return attempts


def _problem(chain: Chain, job: ChainJob, *, job_id: str) -> str | None:
    """Return why an attempt must not start; None if it may."""
    if is_cancelled(chain, job_id):
        return "cancelled"
    missing = _missing(chain, job.inputs)
    if missing:
        return f"{missing[0]} is not in the store {chain.store}; the previous job did not build it"
    changed = changed_versions(chain.folder / FOLDER)
    if changed and not load_recipe(chain.recipe_of(job.name)).run.accept_versions:
        return (
            f"package versions differ from the submission: {'; '.join(changed)}; "
            "`finetune resubmit --accept-versions` accepts them"
        )
    if _lost(_attempts(chain, job.name, job_id=job_id)[:-1]) > chain.max_restarts:
        return f"lost {chain.max_restarts + 1} times in a row without a new checkpoint"
    return None


def _missing(chain: Chain, artefacts: Sequence[str]) -> list[str]:
    return Store(Path(chain.store)).lacking(artefacts)


def _too_short(job: ChainJob, clock: Clock) -> str:
    """Return what to do about a time limit in which an attempt got no further."""
    kind = job.name.partition(".")[0].partition("-")[0]
    kind = "train" if kind == "run" else kind  # all stages in one job, of the size of training
    than = "its time limit" if clock.limit is None else duration(clock.limit)
    what = f"{kind} needs more than {than}"
    if any(one.startswith("train/") for one in job.artefacts):
        what += " to a new checkpoint"
    return f"{what}: raise {kind}.time_limit of the site"


def _made(chain: Chain, job: ChainJob) -> int:
    """Return how many artefacts of a job are in the store."""
    return len(job.artefacts) - len(_missing(chain, job.artefacts))


def _waits_for_another(chain: Chain, job: ChainJob) -> bool:
    """Return whether another process builds an artefact of a job, for which the job waited."""
    store = Store(Path(chain.store))
    states = [store.state(*one.split("/")) for one in _missing(chain, job.artefacts)]
    return "running" in states


def _began(chain: Chain, name: str, *, job_id: str) -> str | None:
    """Return when the newest attempt of a job began."""
    own = [e for e in read_events(chain, name) if e.job_id == job_id and e.event == "start"]
    return own[-1].time if own else None


def _clock(chain: Chain, job: ChainJob, ending: Ending, *, began: str | None) -> Clock:
    """Return the times of an attempt: from Slurm, else from the script and the chain's records."""
    asked = _asked(chain.folder / job.script)
    stated = {} if ending.state is None else ending.state.fields
    ran, limit = (_seconds(stated.get(name, "")) for name in ("RunTime", "TimeLimit"))
    if ran is None and began is not None:
        ran = (datetime.now(UTC) - datetime.fromisoformat(began)).total_seconds()
    return Clock(ran, limit or _seconds(asked.get("time", "")), _seconds(asked.get("grace", "")))


def _asked(script: Path) -> dict[str, str]:
    """Return time limit and grace (in seconds) of a batch script, as texts of sbatch."""
    try:
        text = script.read_text("utf-8")
    except OSError:
        return {}
    found = {"time": _TIME.search(text), "grace": _GRACE.search(text)}
    return {
        name: f"0:{match[1]}" if name == "grace" else match[1]
        for name, match in found.items()
        if match
    }


def _seconds(text: str) -> float | None:
    """Return a time of Slurm in seconds; None for UNLIMITED and other words."""
    return time_limit_seconds(text) if _DURATION.fullmatch(text) else None


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
    ended_by_cluster = is_preempted(state) or state.reason in ("TimeLimit", "NodeDown", "NodeFail")
    return not ended_by_cluster or state.restarts > restart


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


def _end(chain: Chain, name: str, outcome: Outcome, **facts: Any) -> None:
    append_event(chain, name, AttemptEvent(event="end", time=now(), outcome=outcome, **facts))


def remove_notes(folder: Path) -> None:
    """Delete the exit records of an attempt after they were read."""
    shutil.rmtree(folder, ignore_errors=True)
