"""Runs of jobs in Slurm's accounting database (`sacct`), requeued ones included.

Many clusters have no such database; then nothing is known from here. The parser follows sacct's
manual and was never run against a database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from finetune.cluster.slurm import commands as slurm
from finetune.cluster.slurm.allocation import allocated_of
from finetune.errors import ClusterError

FIELDS = ("JobID", "ElapsedRaw", "AllocTRES", "MaxRSS", "TotalCPU", "WorkDir")
_BYTES = re.compile(r"([\d.]+)([KMGTP]?)")
_SCALES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job, from its start to its end or to the next requeue."""

    job_id: str
    seconds: float
    allocated: Mapping[str, int] | None
    peak_bytes: int | None = None
    """Largest resident set of a task, over all steps."""
    cpu_seconds: float | None = None


def runs_of(
    ids: Iterable[str], *, is_own: Callable[[str], bool], ask: Callable[..., str] | None = None
) -> list[Run] | None:
    """Return the runs of jobs; None if no accounting database answers.

    `is_own`: whether a working directory is the chain's, since ids restart after a reset.
    """
    named = ",".join(dict.fromkeys(ids))
    if not named or (ask is None and not slurm.has("sacct")):
        return None
    try:
        printed = (ask or slurm.accounted)(f"--jobs={named}", f"--format={','.join(FIELDS)}")
    except ClusterError:
        return None
    return parse_runs(printed, is_own=is_own)


def parse_runs(printed: str, *, is_own: Callable[[str], bool] = lambda _: True) -> list[Run]:
    """Parse `sacct --duplicates --parsable2 --noheader --noconvert`.

    >>> parse_runs("7|60|cpu=4,node=1||00:01.500|/c\\n7.0|59|cpu=4,node=1|2048K|00:01|")
    [Run(job_id='7', seconds=60.0, allocated={'nodes': 1, 'cpus': 4, 'gpus': 0}, \
peak_bytes=2097152, cpu_seconds=1.5)]
    """
    runs: list[Run] = []
    for line in printed.splitlines():
        cells = line.split("|", len(FIELDS) - 1)
        if len(cells) < len(FIELDS):
            continue
        job_id, elapsed, tres, resident, cpu, folder = cells
        whole, dot, _ = job_id.partition(".")
        if not dot:
            if is_own(folder) and elapsed.isdigit() and int(elapsed) > 0:
                seconds = cpu_seconds(cpu)
                runs.append(Run(whole, float(elapsed), allocated_of(tres), cpu_seconds=seconds))
            continue
        peak = _bytes(resident)
        if runs and runs[-1].job_id == whole and peak is not None:
            runs[-1] = replace(runs[-1], peak_bytes=max(peak, runs[-1].peak_bytes or 0))
    return runs


def cpu_seconds(text: str) -> float | None:
    """Return a CPU time of sacct in seconds; None if none was recorded.

    >>> cpu_seconds("1-02:00:00"), cpu_seconds("01:30.250"), cpu_seconds("00:00:00")
    (93600.0, 90.25, None)
    """
    days, _, clock = text.rpartition("-")
    try:
        parts = [float(part) for part in clock.split(":")]
        seconds = sum(part * 60**power for power, part in enumerate(reversed(parts)))
        return (seconds + 86400 * int(days or 0)) or None
    except ValueError:
        return None


def _bytes(text: str) -> int | None:
    match = _BYTES.fullmatch(text)
    try:
        return int(float(match[1]) * _SCALES[match[2]]) if match else None
    except ValueError:
        return None
