"""`finetune attempt`: what batch scripts ask at the start and end of a job; nobody types it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.cluster.chain.chain import read_chain
from finetune.cluster.job.attempt import (
    Ending,
    begin,
    continued,
    finish,
    own_job_id,
    own_restart,
    remove_notes,
)
from finetune.cluster.slurm import commands as slurm
from finetune.launch import outcome
from finetune.output.console import Console


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("event", choices=["start", "end", "continued"])
    parser.add_argument("--chain", type=Path, required=True, metavar="DIR")
    parser.add_argument("--job", required=True, metavar="NAME")
    parser.add_argument("--exit-code", type=int, default=0)
    parser.add_argument("--told", default="", metavar="SIGNAL")
    parser.add_argument("--outcomes", type=Path, metavar="DIR")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument(
        "--slurm", default="", metavar="TEXT", help="what scontrol shows of the job"
    )
    parser.add_argument("--next", metavar="ID", help="the job that continues this one")


def run(options: Namespace, console: Console) -> int:
    """Keep the books of a job and decide what comes next; the first word printed is the answer."""
    chain, name = read_chain(options.chain), options.job
    job_id, restart = own_job_id(), own_restart()
    if options.event == "start":
        answer, _, reason = begin(chain, name, job_id=job_id, restart=restart).partition(" ")
        print(f"{answer} {reason}" if answer == "go" else answer, file=console.out)
        if answer != "go":
            print(f"{name}: {reason or 'done before'}", file=sys.stderr)
        return 0
    if options.event == "continued":
        for waiting, after in continued(chain, name, job_id=job_id, by=options.next):
            print(waiting, ":".join(after), file=console.out)
        return 0
    states = slurm.parse_jobs(options.slurm)
    ending = Ending(
        exit_code=options.exit_code,
        told=options.told,
        ranks=outcome.read(options.outcomes),
        number_of_ranks=options.ranks,
        state=states[0] if states else None,
    )
    answer, reason = finish(chain, name, ending, job_id=job_id, restart=restart)
    remove_notes(options.outcomes)
    print(answer, file=console.out)
    print(f"{name}: {reason}", file=sys.stderr)
    return 0
