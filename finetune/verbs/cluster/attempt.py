"""`finetune attempt`: record of a job attempt, and the next action of its batch script."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from finetune.cluster.chain.chain import Chain, read_chain
from finetune.cluster.follow.end_report import report_lines
from finetune.cluster.follow.next_time import next_time
from finetune.cluster.follow.spent import spent_of
from finetune.cluster.job.attempt import (
    begin,
    continued,
    finish,
    is_made,
    nodes_to_avoid,
    own_job_id,
    own_restart,
    remove_notes,
)
from finetune.cluster.job.pack_attempt import begin_pack, finish_pack
from finetune.cluster.job.verdict import Ending
from finetune.cluster.slurm import commands as slurm
from finetune.errors import FinetuneError
from finetune.launch import outcome
from finetune.output.console import Console
from finetune.output.terminal import aside


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("event", choices=["start", "end", "continued"])
    parser.add_argument("--chain", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--job", action="append", required=True, metavar="NAME", help="several: a pack"
    )
    parser.add_argument("--exit-code", type=int, default=0)
    parser.add_argument("--signal", "--told", default="", metavar="SIGNAL")  # --told: older scripts
    parser.add_argument("--outcomes", type=Path, metavar="DIR")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--slurm", default="", metavar="TEXT", help="output of `scontrol show job`")
    parser.add_argument("--job-id", metavar="ID", help="id of the job (default: Slurm's)")
    parser.add_argument("--restart", type=int, metavar="N", help="restarts (default: Slurm's)")
    parser.add_argument("--next", metavar="ID", help="id of the job that continues this one")
    # without it: scripts of an older version
    parser.add_argument("--mark", default="", help="begin of the line that is the answer")


def run(options: Namespace, console: Console) -> int:
    """Record an event of a job; the first word printed is the next action."""
    chain, name = read_chain(options.chain), options.job[0]
    job_id = options.job_id or own_job_id()
    restart = own_restart() if options.restart is None else options.restart
    if chain.job(name).pack is not None:
        _run_pack(options, console, chain=chain, job_id=job_id, restart=restart)
        return 0
    if options.event == "start":
        answer, _, reason = begin(chain, name, job_id=job_id, restart=restart).partition(" ")
        _answer(f"{answer} {reason}" if answer == "go" else answer, options, console)
        if answer != "go":
            aside(f"{name}: {reason or 'already done'}")
        return 0
    if options.event == "continued":
        moved = continued(chain, name, job_id=job_id, by=options.next)
        if options.mark:
            _answer(" ".join(f"{one}={':'.join(after)}" for one, after in moved), options, console)
        else:
            for one, after in moved:
                console.answer(f"{one} {':'.join(after)}")
        return 0
    ending = _ending(options, ranks=outcome.read(options.outcomes))
    answer, reason = finish(chain, name, ending, job_id=job_id, restart=restart)
    remove_notes(options.outcomes)
    avoid = nodes_to_avoid(chain, name, ending, job_id=job_id) if answer == "again" else ""
    elsewhere = f" {avoid}" if avoid and options.mark else ""
    _answer(f"{answer}{elsewhere}", options, console)
    aside(f"{name}: {reason}")
    if answer in ("done", "fail"):
        _report_at_end(chain, failed=answer == "fail")
    return 0


def _run_pack(
    options: Namespace, console: Console, *, chain: Chain, job_id: str, restart: int
) -> None:
    """Record an event of the training runs of a pack, which have one answer together."""
    if options.event == "start":
        answer, lines = begin_pack(chain, options.job, job_id=job_id, restart=restart)
    else:
        ending = _ending(options, ranks=[])
        answer, lines = finish_pack(chain, options.job, ending, job_id=job_id, restart=restart)
    _answer(answer, options, console)
    for line in lines:
        aside(line)
    if options.event == "end" and answer in ("done", "fail"):
        _report_at_end(chain, failed=answer == "fail")


def _ending(options: Namespace, *, ranks: Sequence[outcome.Outcome]) -> Ending:
    states = slurm.parse_jobs(options.slurm)
    return Ending(
        exit_code=options.exit_code,
        signal=options.signal,
        ranks=ranks,
        number_of_ranks=options.ranks,
        state=states[0] if states else None,
    )


def _report_at_end(chain: Chain, *, failed: bool) -> None:
    """Print the report of a chain into the log of the job that ends it."""
    if not failed and not all(is_made(chain, job) for job in chain.jobs):
        return
    try:
        spent = spent_of(chain)
        for line in report_lines(spent, next_time(chain, spent)):
            aside(line)
    except (OSError, ValueError, FinetuneError) as error:  # a job's end must not depend on it
        aside(f"no report of the chain: {error}")


def _answer(text: str, options: Namespace, console: Console) -> None:
    """Print the answer on a line of its own, also after a banner that ends without a newline."""
    console.answer(f"\n{options.mark}{text}" if options.mark else text)
