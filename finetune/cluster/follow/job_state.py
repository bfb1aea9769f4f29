"""State of one job and its reason in one line, from what is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from finetune.cluster.chain.chain import AttemptEvent, Cancellation, ChainJob
from finetune.cluster.chain.progress import Progress
from finetune.cluster.slurm.commands import JobState
from finetune.cluster.slurm.reasons import never_starts, why_ended, why_waiting
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
class Seen:
    """Known facts about one job."""

    job_id: str | None
    slurm: JobState | None
    last: AttemptEvent | None
    """Newest event of the newest submission."""
    starts: int
    progress: Progress
    blocked_by: tuple[str, State] | None
    """Name and state of a job that it depends on and that ended without its artefacts."""
    reachable: bool = True
    """True if Slurm answered."""
    cancelled: Cancellation | None = None
    is_over: bool = False
    """True for a packed run that has ended while others of its Slurm job may still run."""
    beside: str = ""
    """End of a packed run whose job still runs: `stopped`, or `failed` with the reason."""
    noted: str = ""
    """Reason that the batch script noted, of an end without a record."""


def judge(seen: Seen, job: ChainJob) -> tuple[State, str]:
    """Return state and reason of a job; the store takes precedence over Slurm."""
    in_store = _in_store(seen)
    if in_store is not None:
        return in_store
    if seen.slurm is not None and seen.slurm.is_active and not seen.is_over:
        return _active(seen, seen.slurm, job)
    if seen.cancelled is not None:
        return "cancelled", f"{_by_whom(seen.cancelled)}{_kept(seen)}"
    noted = seen.noted if seen.reachable else ""
    if noted and (seen.slurm is None or seen.slurm.state in ("FAILED", "COMPLETED")):
        return "failed", f"{noted}{_kept(seen)}"
    return _ended(seen, seen.slurm) if seen.slurm is not None else _remembered(seen)


def _in_store(seen: Seen) -> tuple[State, str] | None:
    if seen.progress.done:
        return "done", ""
    if seen.progress.damaged is not None:
        return "lost", seen.progress.damaged
    return ("not submitted", "") if seen.job_id is None else None


def _active(seen: Seen, now: JobState, job: ChainJob) -> tuple[State, str]:
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
    if seen.beside:
        return "running", f"{where}{since}: {seen.beside}; waits for the others of its job"
    doing = f": {line}" if line and seen.progress.step is None else ""
    return "running", where + since + (doing or again)


def _ended(seen: Seen, now: JobState) -> tuple[State, str]:
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


def _remembered(seen: Seen) -> tuple[State, str]:
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


def _outcome(seen: Seen, end: AttemptEvent) -> tuple[State, str]:
    reason = end.reason or f"exit code {end.exit_code}"
    if end.outcome == "done":
        if seen.progress.done is None:
            return "done", ""
        return "lost", "done, but its artefact is no longer in the store; `finetune resubmit`"
    if end.outcome == "stopped":
        return "stopped", f"{reason}{_kept(seen)}; `finetune resubmit` resumes"
    return "failed", f"{reason}{_kept(seen)}"


def _not_started(because: tuple[str, State]) -> str:
    name, state = because
    return f"not started: {name} {'' if state == 'failed' else 'was '}{state}"


def _by_whom(cancelled: Cancellation) -> str:
    what = f"cancelled ({cancelled.because})" if cancelled.because else "`finetune cancel`"
    return f"{what} at {clock(cancelled.time)}"


def _kept(seen: Seen) -> str:
    step = seen.progress.checkpoint_step
    return f" (checkpoint at step {step:,} kept)" if step else ""
