"""`finetune status`: state of a job chain, one line per job."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

from finetune.cluster.chain.chain import chains_of, find_chain
from finetune.cluster.follow.end_report import attempt_facts, chain_facts, report_lines
from finetune.cluster.follow.next_time import next_time
from finetune.cluster.follow.spent import spent_of
from finetune.cluster.follow.status import (
    ChainReport,
    JobReport,
    accounted_runs,
    look,
    look_at_all,
)
from finetune.cluster.submit.sweep import short
from finetune.output.console import Console
from finetune.output.durations import duration
from finetune.verbs.options import add_chain

COLUMNS = ("job", "state", "step", "loss", "tokens/s", "left", "restarts", "")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_chain(parser)
    parser.add_argument(
        "--all", action="store_true", help="all chains of the store, one line per chain"
    )


def run(options: Namespace, console: Console) -> int:
    """Show the state of a chain, or of every chain of the store."""
    store = options.store
    if options.all:
        for report in look_at_all(chains_of(store)):
            console.say(report.headline, **_chain_facts(report))
        return 0
    report = look(find_chain(store, options.chain))
    spent = spent_of(report.chain, runs=accounted_runs(report) if report.is_over else None)
    advice = next_time(report.chain, spent)
    warned = [advice.grace_warning] if advice.grace_warning else []
    facts = _chain_facts(report) | (chain_facts(spent, advice) if report.is_over else {})
    facts["notices"] += warned
    console.say(report.headline, **facts)
    if console.json_lines:
        for job in report.jobs:
            attempts = [attempt_facts(one) for one in spent.of(job.name)]
            console.say(f"{job.name}: {job.state}", **_job_facts(job), attempts=attempts)
        return 0
    for line in _aligned([COLUMNS, *(_row(job) for job in report.jobs)]):
        console.say(line)
    for job in report.jobs:
        console.detail(_in_slurm(job))
    for note in report.site_notes:
        console.detail(f"the site at submission: {note}")
    for notice in [*_notices(report), *warned]:
        console.say(f"! {notice}")
    for line in report_lines(spent, advice) if report.is_over else ():
        console.say(line)
    return 0


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with aligned columns; the last column is free text."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
        cells += [cell.rjust(width) for cell, width in zip(row[2:-1], widths[2:], strict=True)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return lines


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


def _in_slurm(job: JobReport) -> str:
    """Return the id of a job and where Slurm has it."""
    parts = [f"job {job.job_id}" if job.job_id else "not submitted"]
    parts += [f"partition {job.partition}"] if job.partition else []
    parts += [f"time limit {job.time_limit}"] if job.time_limit else []
    return f"{job.name}: {', '.join(parts)}"


def _notices(report: ChainReport) -> list[str]:
    notices = [f"{job.name}: {notice}" for job in report.jobs for notice in job.notices]
    notices += report.notices
    if report.scheduler_problem:
        notices.append(
            f"state from the files only, as Slurm did not answer: {report.scheduler_problem}"
        )
    return notices


def _chain_facts(report: ChainReport) -> dict[str, Any]:
    return {
        "chain": report.chain.id,
        "state": report.state,
        "site": report.chain.site,
        "site_file": report.chain.site_file,
        "created": report.chain.created,
        "folder": str(report.chain.folder),
        "notices": list(report.notices),
        "site_notes": list(report.site_notes),
        "scheduler_problem": report.scheduler_problem,
    }


def _job_facts(job: JobReport) -> dict[str, Any]:
    progress = job.progress
    return {
        "job": job.name,
        "state": job.state,
        "job_id": job.job_id,
        "partition": job.partition,
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
