"""Submission and cancellation of the jobs of a chain."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from finetune.cluster.chain.chain import (
    Chain,
    ChainJob,
    Submission,
    append_cancellation,
    append_submission,
    names_by_id,
    now,
    read_submissions,
)
from finetune.cluster.chain.typed import typed
from finetune.cluster.follow.status import is_within, jobs_of
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.slurm.commands import JobState
from finetune.errors import ClusterError, RecipeError, first_line
from finetune.messages import Problem, problem
from finetune.spec.site import Site

_ROUNDS = 5
_SETTLE_SECONDS = 1.0
_LATE_SECONDS = 5.0
"""Time after which a job whose answer was lost is in the queue."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Result of a cancellation."""

    jobs: tuple[tuple[str, str, str], ...]
    """(Job id, name in the chain, previous state)."""
    ending: tuple[str, ...]
    """Ids of jobs that Slurm is still ending."""


def cancel(chain: Chain, *, because: str = "") -> Cancelled:
    """Cancel every active job of a chain, and no other job.

    A running job may submit its continuation meanwhile: the cancellation is recorded first, so that
    no further job is submitted, and Slurm is queried again.

    `because`: the reason that `status` shows, if it is no `finetune cancel`. Raises ClusterError if
    Slurm does not answer or refuses; RecipeError for a chain that is not Slurm's; OSError if the
    disk does not take the record, after the jobs were cancelled.
    """
    refuse_other_scheduler(chain)
    unrecorded: OSError | None = None
    cancelled: dict[str, tuple[str, str, str]] = {}
    for round_number in range(_ROUNDS):
        active = active_jobs(chain)
        fresh = {i: s for i, s in active.items() if i not in cancelled}
        if round_number and not fresh:
            break
        if fresh:
            names = names_by_id(chain)
            try:
                append_cancellation(chain, fresh, because=because)
            except OSError as error:  # a full disk keeps no job in the queue
                unrecorded = error
            # waiting jobs first: the end of a running job must not start them
            for waits in (True, False):
                slurm.cancel([i for i, s in fresh.items() if s.is_waiting == waits])
            cancelled |= {i: (i, named(names, i), s.state) for i, s in fresh.items()}
        time.sleep(_SETTLE_SECONDS if cancelled else 0)
    if unrecorded is not None:
        raise unrecorded
    return Cancelled(jobs=tuple(cancelled.values()), ending=tuple(active_jobs(chain)))


def named(names: Mapping[str, tuple[str, ...]], job_id: str) -> str:
    """Return the jobs of an id in words: several of a pack."""
    return ", ".join(names.get(job_id, ("unknown",)))


def refuse_other_scheduler(chain: Chain) -> None:
    """Raise RecipeError for a chain whose script another scheduler runs."""
    if not chain.asks_slurm:
        raise RecipeError(
            problem(
                "chain-of-another-scheduler",
                "chain {chain} is one script of another scheduler: stop it there (qdel, oardel, "
                "bkill, flux cancel), and to resume start it once more: {script}",
                chain=chain.id,
                script=chain.folder / chain.jobs[0].script,
            )
        )


def active_jobs(chain: Chain) -> dict[str, JobState]:
    """Return the active jobs of a chain, also those whose submission was not recorded."""
    ids = [s.job_id for s in read_submissions(chain)]
    ids += [i for i, script in slurm.scripts_of_my_jobs().items() if is_within(chain, script)]
    return {i: state for i, state in jobs_of(chain, ids).items() if state.is_active}


def enqueue(chain: Chain, jobs: Sequence[ChainJob]) -> list[Submission]:
    """Submit jobs of a chain in order, with their dependencies.

    The tasks of a job array are one submission. Raises ClusterError if Slurm refuses a job or its
    answer is lost; every job of the chain in the queue is then cancelled, this one as well.
    """
    sent: dict[str, Submission] = {}
    try:
        for group in groups(jobs):
            ids = {name: one.job_id for name, one in sent.items()}
            after, kind = waits_for(group, ids, chain=chain)
            array = group[0].array is not None
            submitted = slurm.submit(
                chain.folder / group[0].script,
                folder=chain.folder,
                after=after,
                after_kind=kind,
                options=[f"--array={indices_of(chain, group)}"] if array else [],
            )
            for job in group:
                own = f"{submitted.job_id}_{job.index}" if array else submitted.job_id
                sent[job.name] = Submission(job.name, own, now(), notes=submitted.notes)
                append_submission(chain, sent[job.name])
    except ClusterError as error:
        raise ClusterError(*error.problems, *_take_back(chain, error)) from None
    except BaseException:  # a stop of this process
        _take_back(chain, None)
        raise
    return list(sent.values())


def _take_back(chain: Chain, error: ClusterError | None) -> list[Problem]:
    """Cancel what a failed submission left in the queue; return what Slurm says against it."""
    because = "the submission was stopped" if error is None else _reason(error)
    try:
        cancel(chain, because=because)
        if error is None or set(error.codes) & {"no-answer-of-slurm", "no-job-id"}:
            time.sleep(_LATE_SECONDS)
            cancel(chain, because=because)
    except ClusterError as refused:
        return [
            *refused.problems,
            problem(
                "jobs-perhaps-left",
                "jobs of the chain may be in the queue; when Slurm answers: {command}",
                command=typed("cancel", chain),
            ),
        ]
    return []


def _reason(error: ClusterError) -> str:
    return f"submission failed: {first_line(error)}"


def notes_of_site(submissions: Iterable[Submission]) -> list[str]:
    """Return what the site said of some submissions, each line once."""
    return list(dict.fromkeys(note for sent in submissions for note in sent.notes))


def refuse_forbidden_requeue(site: Site) -> None:
    """Raise RecipeError for job arrays on a site that forbids requeueing."""
    if site.requeue == "forbidden":
        raise RecipeError(
            problem(
                "requeue-forbidden",
                "site {site}: requeueing is forbidden, and a new job cannot continue a task of a "
                "job array; submit each combination of a sweep separately with --set, and an "
                "evaluation with `evaluation_tasks: 1`",
                site=site.name,
            )
        )


def groups(jobs: Sequence[ChainJob]) -> list[list[ChainJob]]:
    """Return the submissions: each single job, and the tasks of each job array."""
    by_name: dict[str, list[ChainJob]] = {}
    for job in jobs:
        by_name.setdefault(job.array or job.name, []).append(job)
    return list(by_name.values())


def waits_for(
    group: Sequence[ChainJob], ids: Mapping[str, str], *, chain: Chain
) -> tuple[list[str], slurm.AfterKind]:
    """Return the dependencies of a job or an array, and their kind; `ids`: job ids by name.

    A single job before it must have succeeded. If each task depends on the task of the same index,
    Slurm starts it when that one has succeeded. Otherwise (several training runs of one prepared
    corpus, a release after the tasks of an evaluation) all of them must have ended: a job without
    its input fails when it starts. Tasks that share an evaluation do the work of one that failed.
    The same after a pack, which fails if one of its training runs does.
    """
    before = {job.name: [ids[n] for n in job.depends_on if n in ids] for job in group}
    named = [job_id.rpartition("_") for ids_before in before.values() for job_id in ids_before]
    arrays = list(dict.fromkeys(array or single for array, _, single in named))
    if not any(array for array, *_ in named):
        return arrays, "afterok"
    packed = any(chain.job(name).pack is not None for job in group for name in job.depends_on)
    own = (
        group[0].array is not None
        and not packed
        and all(
            [i.rpartition("_")[2] for i in before[job.name]] == [str(job.index)] for job in group
        )
    )
    return arrays, "aftercorr" if own and len(arrays) == 1 else "afterany"


def indices_of(chain: Chain, group: Sequence[ChainJob]) -> str:
    """Return the tasks of an array with their limit, as `sbatch --array` takes them: `0-8%4`."""
    limit = "" if chain.array_limit is None else f"%{chain.array_limit}"
    return ranges({job.index for job in group if job.index is not None}) + limit


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as ranges for `sbatch --array`.

    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else f"{p[0]}" for p in parts)
