"""`finetune cancel`: cancellation of every job of a chain."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.cluster.chain.chain import find_chain
from finetune.cluster.chain.typed import typed
from finetune.cluster.follow.status import look
from finetune.cluster.submit.queue import cancel
from finetune.cluster.submit.save_and_cancel import Stopped, save_and_cancel
from finetune.output.console import Console
from finetune.pipeline.disk_errors import disk_errors
from finetune.verbs.options import add_chain


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_chain(parser)
    parser.add_argument(
        "--save",
        action="store_true",
        help="let running jobs write a checkpoint first; waits up to the site's grace_seconds",
    )


def run(options: Namespace, console: Console) -> int:
    """Cancel every job of a chain, with its continuations and dependants."""
    chain = find_chain(options.store, options.chain)
    stopped: list[Stopped] = []
    with disk_errors(Path(chain.store)):
        if options.save:
            stopped, done = save_and_cancel(chain, tell=console.say)
        else:
            done = cancel(chain)
    if not done.jobs:
        console.say(
            f"{chain.id}: no job is waiting or running; nothing was cancelled", chain=chain.id
        )
        return 0
    for job_id, name, state in done.jobs:
        console.say(f"cancelled {name} ({job_id}, was {state.lower()})", job=name, job_id=job_id)
    for job in stopped:
        console.say(_saved(job), job=job.name, step=job.after, saved=job.ended)
    if done.ending:
        console.say(
            f"Slurm is still ending {', '.join(done.ending)}: a running job first writes its "
            "checkpoint",
            ending=list(done.ending),
        )
    kept = [
        f"{job.name} step {job.progress.checkpoint_step}"
        for job in look(chain).jobs
        if job.progress.checkpoint_step is not None
    ]
    what = (
        f"finished results and the last checkpoint ({', '.join(kept)})"
        if kept
        else ("finished results")
    )
    console.say(
        f"{chain.id}: {what} are kept; to resume: {typed('resubmit', chain)}", chain=chain.id
    )
    return 0


def _saved(job: Stopped) -> str:
    """Return what a running job saved before it ended."""
    step = "nothing is saved yet" if job.after is None else f"saved up to {job.after:,}"
    if not job.ended:
        return f"{job.name}: still running after its grace time, so it was ended; {step}"
    if job.after is not None and job.after == job.before:
        return f"{job.name}: stopped; no step since the checkpoint at {job.after:,}"
    return f"{job.name}: stopped; {step}"
