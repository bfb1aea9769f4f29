"""The report at the end of a chain: time of each attempt, hours charged, values for next time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from finetune.artefacts.timeline.times_line import ORDER
from finetune.cluster.follow.next_time import MARGIN, NextTime
from finetune.cluster.follow.spent import Charged, JobAttempt, Spent
from finetune.output.durations import duration

MOST_ROWS = 40
_HEADS = {
    "compute": "steps",
    "data": "batches",
    "validation": "validation",
    "checkpoints": "checkpoints",
    "start_up": "start-up",
    "finish": "adapter",
    "other": "other",
}
_SOURCES = {"sacct": "Slurm's accounting", "records": "the chain's own records"}


def report_lines(spent: Spent, advice: NextTime) -> list[str]:
    """Return the report as lines; nothing for a chain of which no job began."""
    if not spent.attempts:
        return []
    lines = ["time by attempt (shares of its time in training):"]
    shown = spent.attempts[:MOST_ROWS]
    measured = [part for part in ORDER if any(part in attempt.parts for attempt in shown)]
    head = ("job", "queued", "ran", "outcome", *(_HEADS[part] for part in measured), "lost steps")
    lines += aligned([head, *(_row(attempt, measured) for attempt in shown)])
    if len(spent.attempts) > len(shown):
        lines.append(f"... and {len(spent.attempts) - len(shown):,} more attempts")
    lines.append(charged_line(spent.charged))
    if advice.asks:
        lines.append(f"for next time, into the site file (measured, and {MARGIN - 1:.0%} on top):")
        lines += [f"  {line}" for line in advice.yaml]
    if advice.missing:
        lines.append(f"not measured: {'; '.join(advice.missing)}")
    return lines


def charged_line(charged: Charged) -> str:
    """Return the hours in a line."""
    found = {
        "GPU": charged.gpu_hours,
        "CPU": charged.cpu_hours,
        "node": charged.node_hours,
    }
    hours = [f"{value:.2f} {name}-hours" for name, value in found.items() if value]
    if not hours:
        return "hours charged: not known, as no allocation was recorded"
    least = "at least " if charged.incomplete else ""
    lacking = [name for name, value in found.items() if value is None]
    text = f"hours charged: {least}{', '.join(hours)} (allocation x time, from "
    text += f"{_SOURCES[charged.source]})"
    if charged.incomplete:
        have = "have" if charged.incomplete > 1 else "has"
        what = "end or allocation"
        text += f"; {charged.incomplete} of {charged.runs} attempts {have} no recorded {what}"
    return text + (f"; not recorded: {', '.join(lacking)}" if lacking else "")


def attempt_facts(attempt: JobAttempt) -> dict[str, Any]:
    """Return an attempt for `--json`."""
    return {
        "number": attempt.number,
        "job_id": attempt.job_id,
        "began": attempt.began,
        "queued_seconds": attempt.queued,
        "ran_seconds": attempt.ran,
        "outcome": attempt.outcome,
        "allocated": dict(attempt.allocated) if attempt.allocated else None,
        "peak_bytes": attempt.peak_bytes,
        "cpu_seconds": attempt.cpu_seconds,
        "seconds_by_part": attempt.parts,
        "lost_steps": attempt.lost_steps,
        "training": [asdict(one) for one in attempt.times],
    }


def chain_facts(spent: Spent, advice: NextTime) -> dict[str, Any]:
    """Return the hours and the values for next time, for `--json`."""
    return {
        "charged": asdict(spent.charged),
        "next_time": [asdict(ask) for ask in advice.asks],
        "not_measured": list(advice.missing),
    }


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with columns under each other, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i in (0, 3) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _row(attempt: JobAttempt, measured: Sequence[str]) -> tuple[str, ...]:
    parts = attempt.parts
    whole = max(sum(parts.values()), 1e-9)
    least = attempt.at_least
    ran = "?" if least is None else duration(least)
    return (
        f"{attempt.job}#{attempt.number}",
        "?" if attempt.queued is None else duration(attempt.queued),
        ran if attempt.ran is not None or least is None else f"> {ran}",
        attempt.outcome or "no end noted",
        *(f"{parts[part] / whole:.0%}" if part in parts else "" for part in measured),
        f"{attempt.lost_steps:,}" if attempt.lost_steps else "",
    )
