"""Cancellation that lets running jobs write a checkpoint first.

`scancel` ends a job's ranks with TERM, and kills them after Slurm's KillWait, often 30 seconds: a
step may take longer. USR1 to the batch script is the same clean stop as before the time limit.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from finetune.cluster.chain.chain import (
    Chain,
    append_cancellation,
    names_by_id,
)
from finetune.cluster.follow.status import jobs_of
from finetune.cluster.job.attempt import checkpoint_step
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.submit.queue import (
    Cancelled,
    active_jobs,
    cancel,
    named,
    refuse_other_scheduler,
)

POLL_SECONDS = 2.0
_GRACE = re.compile(r"^#SBATCH --signal=B:USR1@(\d+)$", re.MULTILINE)
_DEFAULT_GRACE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Stopped:
    """A running job that was asked to stop before its cancellation."""

    name: str
    job_id: str
    ended: bool
    """False: it still ran after its grace time, and was cancelled like any other."""
    before: int | None
    """Optimizer step (or finished shards of an evaluation) that was saved when it was asked."""
    after: int | None
    """The same at its end."""


def save_and_cancel(
    chain: Chain, *, tell: Callable[[str], None] = lambda _: None
) -> tuple[list[Stopped], Cancelled]:
    """Stop the running jobs of a chain cleanly, then cancel every active one.

    The cancellation is recorded first, so that no job is requeued or continued; waiting jobs are
    cancelled at once. Each running job has as long as its script has before the time limit. `tell`
    gets a line before the wait.

    Raises ClusterError if Slurm does not answer or refuses; RecipeError for a chain that is not
    Slurm's.
    """
    refuse_other_scheduler(chain)
    active = active_jobs(chain)
    append_cancellation(chain, active)
    waiting = [i for i, state in active.items() if state.is_waiting]
    slurm.cancel(waiting)
    running = [i for i in active if i not in waiting]
    names = names_by_id(chain)
    asked = [i for i in running if i in names]
    before = {(i, n): checkpoint_step(chain, chain.job(n)) for i in asked for n in names[i]}
    grace = max((_grace_seconds(chain, name) for _, name in before), default=0)
    if asked:
        shown = ", ".join(f"{named(names, i)} ({i})" for i in asked)
        tell(f"asked {shown} to save and stop; this takes up to {grace} s")
        slurm.signal_scripts(asked)
    left = _wait_for_end(chain, asked, seconds=grace)
    stopped = [
        Stopped(
            name=name,
            job_id=i,
            ended=i not in left,
            before=step,
            after=checkpoint_step(chain, chain.job(name)),
        )
        for (i, name), step in before.items()
    ]
    done = cancel(chain)
    known = {job[0] for job in done.jobs}
    ours = [(i, named(names, i), s.state) for i, s in active.items() if i not in known]
    return stopped, Cancelled(jobs=(*ours, *done.jobs), ending=done.ending)


def _wait_for_end(chain: Chain, asked: Sequence[str], *, seconds: float) -> set[str]:
    """Wait until these jobs have ended, at most so long; return those that have not."""
    until = time.monotonic() + seconds
    while True:
        left = {i for i, state in jobs_of(chain, asked).items() if state.is_active}
        if not left or time.monotonic() >= until:
            return left
        time.sleep(POLL_SECONDS)


def _grace_seconds(chain: Chain, name: str) -> int:
    """Return the seconds between the stop signal and the time limit, as in a job's script."""
    try:
        found = _GRACE.search((chain.folder / chain.job(name).script).read_text("utf-8"))
    except OSError:
        found = None
    return int(found[1]) if found else _DEFAULT_GRACE_SECONDS
