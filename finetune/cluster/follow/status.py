"""State of a chain: one report per job, from Slurm, the chain's files and the store.

No accounting database is needed, and Slurm may have forgotten the jobs. If Slurm does not answer,
the state comes from the files, and the report states that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from finetune.cluster.chain.chain import (
    AttemptEvent,
    Chain,
    ChainJob,
    job_ids,
    read_cancellations,
    read_events,
    read_submissions,
)
from finetune.cluster.chain.notes import noted_end, notes_of, setup_notices
from finetune.cluster.chain.progress import Progress, progress_of
from finetune.cluster.chain.typed import addressed
from finetune.cluster.follow.job_state import Seen, State, judge
from finetune.cluster.follow.notices import input_notices, job_notices, space_notices
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.slurm.accounting import Run, runs_of
from finetune.cluster.slurm.commands import JobState
from finetune.errors import ClusterError, Stopped
from finetune.launch import outcome
from finetune.pipeline.store import Store

_ENDS_WITHOUT = ("failed", "cancelled", "stopped")
"""States of a job that ended without its artefacts."""


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
    blocked_by: str | None = None
    """Name of the job before it that ended without its artefacts, so that this one never starts."""
    partition: str | None = None
    """Partition of a job in the queue, which a site may have changed."""
    time_limit: str | None = None


@dataclass(frozen=True, slots=True)
class ChainReport:
    """A chain now."""

    chain: Chain
    state: State
    headline: str
    jobs: tuple[JobReport, ...]
    notices: tuple[str, ...] = ()
    site_notes: tuple[str, ...] = ()
    """Lines that the site printed at submission, e.g. the account that is charged."""
    scheduler_problem: str | None = None
    """Error of Slurm, if it did not answer."""

    @property
    def is_over(self) -> bool:
        """Return whether nothing of the chain waits or runs any more."""
        return self.state in ("done", *_ENDS_WITHOUT, "lost")


def accounted_runs(report: ChainReport) -> list[Run] | None:
    """Return the runs of a chain's jobs in Slurm's accounting; None if it does not answer."""
    chain = report.chain
    if not chain.asks_slurm or report.scheduler_problem is not None:
        return None
    ids = [submission.job_id for submission in read_submissions(chain)]
    return runs_of(ids, is_own=lambda folder: is_within(chain, folder))


def look(chain: Chain) -> ChainReport:
    """Query Slurm and read the files; changes nothing.

    If Slurm does not answer, the report has its error and the state from the files.
    """
    ids, problem = job_ids(chain), None
    states: Mapping[str, JobState] = {}
    try:
        states = jobs_of(chain, ids.values()) if chain.asks_slurm else {}
    except ClusterError as error:
        problem = str(error)
    return _chain_report(chain, ids, states=states, problem=problem)


def look_at_all(chains: Sequence[Chain]) -> Iterator[ChainReport]:
    """Yield the report of each chain; Slurm is asked once for all of them.

    It is not asked about chains whose artefacts are all in the store.
    """
    ids = {chain.id: job_ids(chain) for chain in chains}
    asked = [chain for chain in chains if chain.asks_slurm and not _is_finished(chain)]
    states: Mapping[str, JobState] = {}
    problem: str | None = None
    try:
        wanted = [job_id for chain in asked for job_id in ids[chain.id].values()]
        states = slurm.jobs(wanted, at_once=True)
    except ClusterError as error:
        problem = str(error)
    for chain in chains:
        own = chain in asked
        yield _chain_report(
            chain,
            ids[chain.id],
            states=of_chain(chain, states) if own else {},
            problem=problem if own else None,
        )


def _is_finished(chain: Chain) -> bool:
    lacking = Store(Path(chain.store)).lacking
    return not lacking(artefact for job in chain.jobs for artefact in job.artefacts)


def _chain_report(
    chain: Chain, ids: Mapping[str, str], *, states: Mapping[str, JobState], problem: str | None
) -> ChainReport:
    cancelled = {i: c for c in read_cancellations(chain) for i in c.job_ids}
    reports: dict[str, JobReport] = {}
    for job in chain.jobs:
        job_id = ids.get(job.name)
        seen = _see(chain, job, job_id=job_id, state=states.get(job_id or ""), before=reports)
        seen = replace(
            seen,
            reachable=problem is None and chain.asks_slurm,
            cancelled=cancelled.get(job_id or ""),
        )
        reports[job.name] = _report(chain, job, seen)
    jobs = tuple(reports.values())
    state = chain_state(jobs)
    left = [job for job in chain.jobs if reports[job.name].state != "done"]
    inputs = input_notices(left, Store(Path(chain.store)))
    return ChainReport(
        chain=chain,
        state=state,
        headline=addressed(_headline(chain, jobs, state, needed=len(inputs)), chain),
        jobs=jobs,
        notices=(
            *inputs,
            *setup_notices(chain, ids, [job.name for job in chain.jobs]),
            *space_notices(Path(chain.store)),
        ),
        site_notes=tuple(dict.fromkeys(n for s in read_submissions(chain) for n in s.notes)),
        scheduler_problem=problem,
    )


def jobs_of(chain: Chain, ids: Iterable[str]) -> dict[str, JobState]:
    """Return Slurm's states of a chain's jobs.

    Raises ClusterError if Slurm does not answer.
    """
    return of_chain(chain, slurm.jobs(ids))


def of_chain(chain: Chain, states: Mapping[str, JobState]) -> dict[str, JobState]:
    """Return which of these jobs of Slurm are jobs of a chain.

    Jobs of another origin with the same ids (ids restart after a reset) are ignored.
    """
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

    Active states come first, then the worst final state. A job that another one kept from starting
    does not count: that one does.
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
    names = {job.name for job in jobs}
    states = {job.state for job in jobs if job.is_active or job.blocked_by not in names}
    return next((state for state in order if state in states), "done")


def _see(
    chain: Chain,
    job: ChainJob,
    *,
    job_id: str | None,
    state: JobState | None,
    before: Mapping[str, JobReport],
) -> Seen:
    events = read_events(chain, job.name)
    own = [e for e in events if e.job_id == job_id]
    last = own[-1] if own else None
    packed = last if job.pack is not None else None
    blockers = [before[n] for n in job.depends_on if n in before]
    return Seen(
        job_id=job_id,
        slurm=state,
        last=last,
        is_over=packed is not None and bool(packed.final),
        beside=_ended_beside(chain, job, packed) if packed is not None else "",
        starts=sum(e.event == "start" for e in events),
        progress=progress_of(chain, job, job_id=job_id),
        blocked_by=next(((b.name, b.state) for b in blockers if b.state in _ENDS_WITHOUT), None),
        noted=noted_end(notes_of(chain, job.name, job_id), own[-1] if own else None),
    )


def _ended_beside(chain: Chain, job: ChainJob, last: AttemptEvent) -> str:
    """Return how a packed run has ended in the attempt that runs; empty if it runs."""
    if last.event == "end":
        return ""
    records = outcome.read(chain.outcomes_of(job.name, job_id=last.job_id, restart=last.restart))
    if not records or records[0].exit_code == 0:
        return ""
    if records[0].exit_code == Stopped.exit_code:
        return "stopped"
    return f"failed: {records[0].reason}" if records[0].reason else "failed"


def _report(chain: Chain, job: ChainJob, seen: Seen) -> JobReport:
    state, why = judge(seen, job)
    asked = "" if chain.size is None else ", ".join(replace(chain.size, pack=None).typed)
    if state == "stuck" and asked:
        why += (
            f" ({asked} of `submit` counts before the site's: give it to `finetune resubmit`, too)"
        )
    never_started = state == "cancelled" and seen.last is None and seen.cancelled is None
    blocker = seen.blocked_by if never_started else None
    queued = seen.slurm if seen.slurm is not None and seen.slurm.is_active else None
    return JobReport(
        name=job.name,
        state=state,
        job_id=seen.job_id,
        restarts=max(seen.starts - 1, seen.slurm.restarts if seen.slurm else 0, 0),
        why=addressed(" ".join(why.split()), chain),
        progress=seen.progress,
        settings=job.settings,
        notices=tuple(
            addressed(notice, chain)
            for notice in job_notices(
                seen.progress,
                state=state,
                started=seen.last is not None and seen.last.event == "start",
                purge_days=chain.purge_days,
            )
        ),
        is_active=queued is not None and not seen.is_over,
        blocked_by=blocker[0] if blocker is not None else None,
        partition=queued.partition if queued is not None else None,
        time_limit=queued.time_limit if queued is not None else None,
    )


def _headline(chain: Chain, jobs: tuple[JobReport, ...], state: State, *, needed: int) -> str:
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
        first += ", once its inputs are back in the store" if needed else ""
    return first


def _counted(jobs: int) -> str:
    return f"{jobs:,} job{'s' * (jobs != 1)}"
