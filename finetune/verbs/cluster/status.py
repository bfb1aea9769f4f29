"""Verbs that follow and steer a chain of jobs: status, logs, cancel, resubmit."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from finetune.cluster.chain.chain import Chain, chains_of, find_chain
from finetune.cluster.follow import logs as job_logs
from finetune.cluster.follow import status as looking
from finetune.cluster.follow.status import ChainReport, JobReport
from finetune.cluster.submit import queue as control
from finetune.cluster.submit import resubmit as again
from finetune.cluster.submit.sweep import short
from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.output.durations import duration
from finetune.spec.site import load_site

COLUMNS = ("job", "state", "step", "loss", "tokens/s", "left", "restarts", "")
FOLLOWED_LINES = 40


def status(options: Namespace, console: Console) -> int:
    """Show what became of a chain, or of every chain of the store."""
    store = options.store.resolve()
    if options.all:
        for chain in chains_of(store):
            report = looking.look(chain)
            console.say(report.headline, **_chain_facts(report))
        return 0
    report = looking.look(find_chain(store, options.chain))
    console.say(report.headline, **_chain_facts(report))
    if console.json_lines:
        for job in report.jobs:
            console.say(f"{job.name}: {job.state}", **_job_facts(job))
        return 0
    for line in aligned([COLUMNS, *(_row(job) for job in report.jobs)]):
        console.say(line)
    for notice in _notices(report):
        console.say(f"! {notice}")
    return 0


def logs(options: Namespace, console: Console) -> int:
    """Print the log of a job, or follow it until the job has ended."""
    if options.follow and options.attempt is not None:
        raise RecipeError("--attempt shows what was; -f follows what comes: leave one of them out")
    chain, name = _chosen(options)

    def show(text: str) -> None:
        if console.json_lines:
            for line in text.splitlines():
                console.say(line, chain=chain.id, job=name)
        else:
            print(text, end="", file=console.out, flush=True)

    if options.follow:
        lines = FOLLOWED_LINES if options.lines is None else options.lines
        for text in job_logs.follow(chain, name, lines=lines, told=_aside):
            show(text)
        return 0
    parts = job_logs.parts_of(chain, name, attempt=options.attempt)
    texts = {part: part.text() for part in parts}
    if not any(texts.values()):
        report = next(job for job in looking.look(chain).jobs if job.name == name)
        _aside(f"{name} has written nothing yet; {report.state}: {report.why}".rstrip(": "))
    for part, text in texts.items():
        if len(parts) > 1 and text:
            _aside(f"--- job {part.job_id} ---")
        show(job_logs.tail(text, lines=options.lines))
    return 0


def _aside(line: str) -> None:
    """Say what is no part of a log."""
    print(line, file=sys.stderr, flush=True)


def cancel(options: Namespace, console: Console) -> int:
    """Cancel a chain: every job of it, also continuations and dependants."""
    chain = find_chain(options.store.resolve(), options.chain)
    done = control.cancel(chain)
    if not done.jobs:
        console.say(
            f"{chain.id}: nothing of it waits or runs; nothing was cancelled", chain=chain.id
        )
        return 0
    for job_id, name, state in done.jobs:
        console.say(f"cancelled {name} ({job_id}, was {state.lower()})", job=name, job_id=job_id)
    if done.left:
        console.say(
            f"Slurm is still ending {', '.join(done.left)}: a running job gets a moment to write "
            "its state",
            ending=list(done.left),
        )
    kept = [
        f"{job.name} step {job.progress.checkpoint_step}"
        for job in looking.look(chain).jobs
        if job.progress.checkpoint_step is not None
    ]
    what = (
        f"finished results and the last checkpoint ({', '.join(kept)})"
        if kept
        else ("finished results")
    )
    console.say(
        f"{chain.id}: {what} are kept; to go on: finetune resubmit {chain.id}", chain=chain.id
    )
    return 0


def resubmit(options: Namespace, console: Console) -> int:
    """Submit again what of a chain is not done."""
    chain = find_chain(options.store.resolve(), options.chain)
    site = None
    if options.site is not None:
        site = load_site(options.site, overlay=options.overlay)
    elif options.overlay is not None:
        raise RecipeError("--overlay changes a site: name that too, with --site")
    sent = again.resubmit(chain, site=site)
    if not sent:
        console.say(f"{chain.id}: everything is done; nothing was submitted", chain=chain.id)
        return 0
    steps = {job.name: job.progress.checkpoint_step for job in looking.look(chain).jobs}
    for submission in sent:
        step = steps[submission.name]
        goes_on = f", goes on from step {step}" if step is not None else ""
        console.say(
            f"submitted {submission.name} as job {submission.job_id}{goes_on}",
            job=submission.name,
            job_id=submission.job_id,
            step=step,
        )
    console.say(f"follow it: finetune status {chain.id}", chain=chain.id)
    return 0


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines whose columns stand under each other; the last one is free text."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
        cells += [cell.rjust(width) for cell, width in zip(row[2:-1], widths[2:], strict=True)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return lines


def _chosen(options: Namespace) -> tuple[Chain, str]:
    """Return chain and job; a single word may be either."""
    store, wanted, name = options.store.resolve(), options.chain, options.job
    if wanted is not None and name is None:
        newest = find_chain(store)
        if wanted in {job.name for job in newest.jobs}:
            return newest, wanted
    chain = find_chain(store, wanted)
    return chain, chain.job(name).name if name else job_logs.default_job(looking.look(chain))


def _row(job: JobReport) -> tuple[str, ...]:
    progress = job.progress
    step = "" if progress.step is None else f"{progress.step}/{progress.total_steps or '?'}"
    speed, left = progress.tokens_per_second, progress.seconds_left
    return (
        f"{job.name} {short(job.settings)}".strip(),
        job.state,
        step,
        "" if progress.loss is None else f"{progress.loss:.3f}",
        "" if speed is None else f"{speed:,.0f}",
        "" if left is None else duration(left),
        str(job.restarts) if job.restarts else "",
        job.why,
    )


def _notices(report: ChainReport) -> list[str]:
    found = [f"{job.name}: {notice}" for job in report.jobs for notice in job.notices]
    found += report.notices
    if report.scheduler_problem:
        found.append(
            f"Slurm was not asked, this is what the files know: {report.scheduler_problem}"
        )
    return found


def _chain_facts(report: ChainReport) -> dict[str, Any]:
    return {
        "chain": report.chain.id,
        "state": report.state,
        "site": report.chain.site,
        "created": report.chain.created,
        "folder": str(report.chain.folder),
        "notices": list(report.notices),
        "scheduler_problem": report.scheduler_problem,
    }


def _job_facts(job: JobReport) -> dict[str, Any]:
    progress = job.progress
    return {
        "job": job.name,
        "state": job.state,
        "job_id": job.job_id,
        "step": progress.step,
        "total_steps": progress.total_steps,
        "loss": progress.loss,
        "tokens_per_second": progress.tokens_per_second,
        "seconds_left": progress.seconds_left,
        "restarts": job.restarts,
        "why": job.why,
        "settings": list(job.settings),
        "notices": list(job.notices),
    }
