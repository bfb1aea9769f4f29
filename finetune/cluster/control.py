"""Cancel a chain, and submit again what of it is not done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from finetune.cluster import slurm
from finetune.cluster.chain import (
    Chain,
    ChainJob,
    Submission,
    append_cancellation,
    append_submission,
    now,
    read_submissions,
)
from finetune.cluster.slurm import JobState
from finetune.cluster.status import ChainReport, is_ours, jobs_of, look
from finetune.errors import ClusterError, RecipeError

_ROUNDS = 5
_SETTLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What `cancel` did."""

    jobs: tuple[tuple[str, str, str], ...]
    """(Job id, its name in the chain, state before)."""
    left: tuple[str, ...]
    """Ids that Slurm is still ending."""


def cancel(chain: Chain) -> Cancelled:
    """Cancel every job of a chain that waits or runs; those of other chains are never touched.

    A job that is told to end may just be submitting its continuation: it is noted first that the
    chain is cancelled, so that none is submitted any more, and then Slurm is asked again.

    Raises ClusterError if Slurm does not answer or refuses.
    """
    told: dict[str, tuple[str, str, str]] = {}
    for round_number in range(_ROUNDS):
        active = active_jobs(chain)
        fresh = {i: s for i, s in active.items() if i not in told}
        if round_number and not fresh:
            break
        if fresh:
            names = {s.job_id: s.name for s in read_submissions(chain)}
            append_cancellation(chain, fresh)
            # what waits first: the end of a running job must not start it
            for waits in (True, False):
                slurm.cancel([i for i, s in fresh.items() if (s.state == "PENDING") == waits])
            told |= {i: (i, names.get(i, "unknown"), s.state) for i, s in fresh.items()}
        time.sleep(_SETTLE_SECONDS if told else 0)
    return Cancelled(jobs=tuple(told.values()), left=tuple(active_jobs(chain)))


def active_jobs(chain: Chain) -> dict[str, JobState]:
    """Return what of a chain waits or runs, also what was submitted and never noted."""
    ids = [s.job_id for s in read_submissions(chain)]
    ids += [i for i, script in slurm.scripts_of_my_jobs().items() if is_ours(chain, script)]
    return {i: state for i, state in jobs_of(chain, ids).items() if state.is_active}


def unfinished(report: ChainReport) -> list[ChainJob]:
    """Return the jobs that have to run again, in order: what is not done."""
    done = {job.name for job in report.jobs if job.state == "done"}
    return [job for job in report.chain.jobs if job.name not in done]


def resubmit(chain: Chain) -> list[Submission]:
    """Submit again, from the chain's own snapshot, every job that is not done.

    The keys of artefacts come from the snapshot, so a training goes on from its last checkpoint.
    Raises RecipeError while jobs of the chain are active, ClusterError if Slurm refuses one; what
    had been submitted until then is cancelled.
    """
    active = active_jobs(chain)
    if active:
        names = {s.job_id: s.name for s in read_submissions(chain)}
        listed = ", ".join(
            f"{names.get(i, 'a job')} ({i}, {s.state.lower()})" for i, s in active.items()
        )
        raise RecipeError(
            f"chain {chain.id} is still active: {listed}; let it go on, or first: "
            f"finetune cancel {chain.id}"
        )
    report = look(chain)
    if report.scheduler_problem:
        raise ClusterError(report.scheduler_problem)
    return enqueue(chain, unfinished(report))


def enqueue(chain: Chain, jobs: Sequence[ChainJob]) -> list[Submission]:
    """Submit jobs of a chain in order, each after those of them that it depends on.

    Raises ClusterError if Slurm refuses one; those before it are cancelled.
    """
    sent: dict[str, Submission] = {}
    try:
        for job in jobs:
            after = [sent[name].job_id for name in job.depends_on if name in sent]
            job_id = slurm.submit(chain.folder / job.script, folder=chain.folder, after=after)
            sent[job.name] = Submission(name=job.name, job_id=job_id, time=now())
            append_submission(chain, sent[job.name])
    except ClusterError:
        ids = [submission.job_id for submission in sent.values()]
        append_cancellation(chain, ids)
        slurm.cancel(ids)
        raise
    return list(sent.values())
