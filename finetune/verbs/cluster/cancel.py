"""`finetune cancel`: cancellation of every job of a chain."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.cluster.chain.chain import find_chain
from finetune.cluster.chain.typed import typed
from finetune.cluster.follow.status import look
from finetune.cluster.submit.queue import cancel
from finetune.output.console import Console
from finetune.pipeline.disk_errors import disk_errors
from finetune.verbs.options import add_chain


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_chain(parser)


def run(options: Namespace, console: Console) -> int:
    """Cancel every job of a chain, with its continuations and dependants."""
    chain = find_chain(options.store, options.chain)
    with disk_errors(Path(chain.store)):
        done = cancel(chain)
    if not done.jobs:
        console.say(
            f"{chain.id}: no job is waiting or running; nothing was cancelled", chain=chain.id
        )
        return 0
    for job_id, name, state in done.jobs:
        console.say(f"cancelled {name} ({job_id}, was {state.lower()})", job=name, job_id=job_id)
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
