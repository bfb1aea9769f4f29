"""State of a chain: one report per job, from Slurm, the chain's files and the store.

No accounting database is needed, and Slurm may have forgotten the jobs. If Slurm does not answer,
the state comes from the files, and the report states that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from finetune.cluster.chain.chain import (
    AttemptEvent,
    Chain,
    ChainJob,
    job_ids,
    read_cancellations,
    read_events,
)
from finetune.cluster.chain.notes import noted_end, notes_of, setup_notices
from finetune.cluster.chain.progress import Progress, progress_of
from finetune.cluster.follow.notices import job_notices, space_notices
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.slurm.commands import JobState
from finetune.cluster.slurm.reasons import never_starts, why_ended, why_waiting
from finetune.errors import ClusterError
from finetune.output.durations import age_seconds, clock, duration

State = Literal[
    "done",
    "running",
    "waiting",
    "stuck",
    "failed",
    "cancelled",
    "stopped",
    "lost",
    "not submitted",
]
"""`stuck`: can never start as submitted. `stopped`: ended with a checkpoint and not requeued.
`lost`: no exit record."""


@dataclass(frozen=True, slots=True)
class JobReport:
    """One job of a chain now."""

    name: str
    state: State
    job_id: str | None
    restarts: int
    why: str
    """One line: reason for waiting, nodes, or reason of failure."""
    progress: Progress
    settings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    """Warnings, each with what to do."""
    is_active: bool = False
    """True if it is in Slurm's queue."""


@dataclass(frozen=True, slots=True)
class ChainReport:
    """A chain now."""

    chain: Chain
    state: State
    headline: str
    jobs: tuple[JobReport, ...]
    notices: tuple[str, ...] = ()
    scheduler_problem: str | None = None
    """Error of Slurm, if it did not answer."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Known facts about one job."""

    job_id: str | None
    slurm: JobState | None
    last: AttemptEvent | None
    """Newest event of the newest submission."""
    starts: int
    progress: Progress
    blocked_by: str | None
    """Name of a job that it depends on and that failed or was cancelled."""
    reachable: bool = True
    """True if Slurm answered."""
    cancelled: str | None = None
    """Time of `finetune cancel`."""
    noted: str = ""
    """Reason that the batch script noted, of an end without a record."""


def look(chain: Chain) -> ChainReport:
    """Query Slurm and read the files; changes nothing.

    If Slurm does not answer, the report has its error and the state from the files.
    """
    ids = job_ids(chain)
    problem: str | None = None
    states: Mapping[str, JobState] = {}
    try:
        states = jobs_of(chain, ids.values())
    except ClusterError as error:
        problem = str(error)
    cancelled = {i: c.time for c in read_cancellations(chain) for i in c.job_ids}
    reports: dict[str, JobReport] = {}
    for job in chain.jobs:
        job_id = ids.get(job.name)
        seen = _see(chain, job, job_id=job_id, state=states.get(job_id or ""), before=reports)
        seen = replace(seen, reachable=problem is None, cancelled=cancelled.get(job_id or ""))
        reports[job.name] = _report(chain, job, seen)
    jobs = tuple(reports.values())
    state = chain_state(jobs)
    return ChainReport(
        chain=chain,
        state=state,
        headline=_headline(chain, jobs, state),
        jobs=jobs,
        notices=(
            *setup_notices(chain, ids, [job.name for job in chain.jobs]),
            *space_notices(Path(chain.store)),
        ),
        scheduler_problem=problem,
    )


def jobs_of(chain: Chain, ids: Iterable[str]) -> dict[str, JobState]:
    """Return Slurm's states of a chain's jobs.

    Jobs of another origin with the same ids (ids restart after a reset) are ignored.
    Raises ClusterError if Slurm does not answer.
    """
    states = slurm.jobs(ids)
    # the path of the script, or the folder of submission: some sites give Slurm a copy
    return {
        i: state
        for i, state in states.items()
        if any(is_within(chain, state.fields.get(place, "")) for place in ("Command", "WorkDir"))
    }


def is_within(chain: Chain, path: str) -> bool:
    """Return whether a path is the chain's folder or inside it."""
    folders = (chain.folder.absolute(), chain.folder.resolve())
    return any(Path(path).is_relative_to(folder) for folder in folders) or (
        bool(path) and Path(path).resolve().is_relative_to(folders[1])
    )


def chain_state(jobs: tuple[JobReport, ...]) -> State:
    """Return the state of a chain from the states of its jobs.

    Active states come first, then the worst final state.
    """
    order: tuple[State, ...] = (
        "running",
        "waiting",
        "stuck",
        "failed",
        "lost",
        "cancelled",
        "stopped",
        "not submitted",
    )
    states = {job.state for job in jobs}
    return next((state for state in order if state in states), "done")


def _see(
    chain: Chain,
    job: ChainJob,
    *,
    job_id: str | None,
    state: JobState | None,
    before: Mapping[str, JobReport],
) -> _Seen:
    events = read_events(chain, job.name)
    own = [e for e in events if e.job_id == job_id]
    blockers = [before[n] for n in job.depends_on if n in before]
    return _Seen(
        job_id=job_id,
        slurm=state,
        last=own[-1] if own else None,
        starts=sum(e.event == "start" for e in events),
        progress=progress_of(chain, job, job_id=job_id),
        blocked_by=next((b.name for b in blockers if b.state in ("failed", "cancelled")), None),
        noted=noted_end(notes_of(chain, job.name, job_id), own[-1] if own else None),
    )


def _report(chain: Chain, job: ChainJob, seen: _Seen) -> JobReport:
    state, why = _judge(seen, job)
    return JobReport(
        name=job.name,
        state=state,
        job_id=seen.job_id,
        restarts=max(seen.starts - 1, seen.slurm.restarts if seen.slurm else 0, 0),
        why=" ".join(why.split()),
        progress=seen.progress,
        settings=job.settings,
        notices=tuple(
            job_notices(
                seen.progress,
                state=state,
                started=seen.last is not None and seen.last.event == "start",
                purge_days=chain.purge_days,
            )
        ),
        is_active=seen.slurm is not None and seen.slurm.is_active,
    )


def _judge(seen: _Seen, job: ChainJob) -> tuple[State, str]:
    """Return state and reason of a job; the store takes precedence over Slurm."""
    in_store = _in_store(seen)
    if in_store is not None:
        return in_store
    if seen.slurm is not None and seen.slurm.is_active:
        return _active(seen, seen.slurm, job)
    if seen.cancelled is not None:
        return "cancelled", f"`finetune cancel` at {clock(seen.cancelled)}{_kept(seen)}"
    noted = seen.noted if seen.reachable else ""
    if noted and (seen.slurm is None or seen.slurm.state in ("FAILED", "COMPLETED")):
        return "failed", f"{noted}{_kept(seen)}"
    return _ended(seen, seen.slurm) if seen.slurm is not None else _remembered(seen)


def _in_store(seen: _Seen) -> tuple[State, str] | None:
    if seen.progress.done:
        return "done", ""
    if seen.progress.damaged is not None:
        return "lost", seen.progress.damaged
    return ("not submitted", "") if seen.job_id is None else None


def _active(seen: _Seen, now: JobState, job: ChainJob) -> tuple[State, str]:
    again = ""
    if seen.last is not None and seen.last.event == "end" and seen.last.reason:
        again = f"; previous attempt: {seen.last.reason}"
    if now.is_waiting:
        why = why_waiting(now)
        if now.reason == "Dependency" and job.depends_on:
            why = f"after {', '.join(job.depends_on)}"
        elif now.start_time and now.reason in ("Resources", "Priority"):
            why += f"; expected start {clock(now.start_time)}"
        return ("stuck" if never_starts(now) else "waiting"), why + again
    if now.state in ("SUSPENDED", "STOPPED"):
        return "waiting", f"suspended by the site, on {now.nodes}"
    where = f"on {now.nodes}" if now.nodes else now.state.lower()
    since = f" since {clock(now.start_time)}" if now.start_time else ""
    line = seen.progress.last_line
    doing = f": {line}" if line and seen.progress.step is None else ""
    return "running", where + since + (doing or again)


def _ended(seen: _Seen, now: JobState) -> tuple[State, str]:
    if now.state == "COMPLETED" and seen.progress.done is None:
        return "done", ""
    if now.state == "CANCELLED":
        if seen.blocked_by is not None:
            return "cancelled", _not_started(seen.blocked_by)
        return "cancelled", f"{why_ended(now)}{_kept(seen)}"
    if seen.last is not None and seen.last.event == "end":
        return _outcome(seen, seen.last)
    if now.state == "COMPLETED":
        return "failed", "ended without its artefacts; see `finetune logs`"
    return "failed", f"{why_ended(now)}{_kept(seen)}"


def _remembered(seen: _Seen) -> tuple[State, str]:
    """Return state and reason of a job from the files: Slurm has forgotten it or did not answer."""
    last = seen.last
    if last is not None and last.event == "end":
        return _outcome(seen, last)
    silent = age_seconds(max(filter(None, (seen.progress.beat, seen.progress.moved)), default=None))
    sign = "" if silent is None else f"; last heartbeat {duration(silent)} ago"
    if not seen.reachable:
        if last is None:
            return "waiting", f"job {seen.job_id} has no start record"
        return "running", f"started {clock(last.time)}{sign}"
    if last is None and seen.blocked_by is not None:
        return "cancelled", _not_started(seen.blocked_by)
    if last is None:
        why = f"job {seen.job_id} is unknown to Slurm and has no start record"
        return "lost", f"{why}; `finetune resubmit`"
    why = f"job {seen.job_id} is unknown to Slurm; started {clock(last.time)}, no exit record"
    return "lost", f"{why}{sign}{_kept(seen)}; `finetune resubmit`"


def _outcome(seen: _Seen, end: AttemptEvent) -> tuple[State, str]:
    reason = end.reason or f"exit code {end.exit_code}"
    if end.outcome == "done":
        if seen.progress.done is None:
            return "done", ""
        return "lost", "done, but its artefact is no longer in the store; `finetune resubmit`"
    if end.outcome == "stopped":
        return "stopped", f"{reason}{_kept(seen)}; `finetune resubmit` resumes"
    return "failed", f"{reason}{_kept(seen)}"


def _not_started(because: str) -> str:
    return f"not started: {because} failed or was cancelled"


def _kept(seen: _Seen) -> str:
    step = seen.progress.checkpoint_step
    return f" (checkpoint at step {step:,} kept)" if step else ""


def _headline(chain: Chain, jobs: tuple[JobReport, ...], state: State) -> str:
    done = sum(job.state == "done" for job in jobs)
    first = f"{chain.id}: {state}"
    if state == "done":
        return f"{first}; {_counted(len(jobs))}"
    first += f"; {done:,} of {_counted(len(jobs))} done"
    failed = [job for job in jobs if job.state == "failed"]
    if failed:
        first += f"; {failed[0].name} failed: {failed[0].why}"
        first += f" (and {len(failed) - 1:,} more)" if len(failed) > 1 else ""
    stuck = [job.name for job in jobs if job.state == "stuck"]
    if stuck:
        return f"{first}; {', '.join(stuck)} cannot start as submitted"
    if state in ("failed", "lost", "cancelled", "stopped", "not submitted"):
        first += f". `finetune resubmit {chain.id}` submits the rest"
    return first


def _counted(jobs: int) -> str:
    return f"{jobs:,} job{'s' * (jobs != 1)}"
