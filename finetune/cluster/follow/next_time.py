"""Advice for the next submission of a chain, from what was measured and what was asked for.

Every line can be pasted into the site file. Nothing is guessed: a resource that was not measured
has no line, and is named among what is missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finetune.artefacts.timeline.attempts import Attempt
from finetune.cluster.chain.chain import Chain, ChainJob
from finetune.cluster.follow.spent import JobAttempt, Spent
from finetune.output.durations import duration
from finetune.sizing.policy import GIB
from finetune.spec.values.sbatch_lines import option_of

MARGIN = 1.25
"""On top of what was measured: other nodes, other texts, a busy file system."""
GRACE_MARGIN = 2.0
"""A checkpoint at the time limit is written while others write theirs."""
KINDS = ("prepare", "train", "evaluate", "release")
MEMORY = {"mem": "node", "mem-per-cpu": "cpu", "mem-per-gpu": "gpu"}


@dataclass(frozen=True, slots=True)
class Ask:
    """A value for the site file."""

    section: str
    """`train`, ...; empty for a key of the whole site."""
    key: str
    line: str
    """As YAML; empty for what no key asks for."""
    why: str
    """Asked and measured, in words."""


@dataclass(frozen=True, slots=True)
class NextTime:
    """Values for the next time, and what is missing for others."""

    asks: tuple[Ask, ...]
    missing: tuple[str, ...]
    grace_warning: str = ""
    """Set if the last checkpoint took most of the grace time."""

    @property
    def yaml(self) -> list[str]:
        """Return the values as lines of a site file."""
        lines = []
        for section in dict.fromkeys(ask.section for ask in self.asks):
            indent = "  " if section else ""
            lines += [f"{section}:"] if section else []
            own = [ask for ask in self.asks if ask.section == section]
            lines += [f"{indent}{f'{ask.line} # {ask.why}'.lstrip()}" for ask in own]
        return lines


def next_time(chain: Chain, spent: Spent) -> NextTime:
    """Return what to ask for, by kind of job."""
    asks: list[Ask] = []
    missing: list[str] = []
    for kind in KINDS:
        jobs = [job for job in chain.jobs if kind_of(job) == kind and spent.of(job.name)]
        if not jobs:
            continue
        asked = asked_of(chain, jobs[0])
        found = [said(kind, jobs, spent, asked=asked) for said in (_time, _cpus, _memory)]
        asks += [one for one in found if isinstance(one, Ask)]
        missing += [one for one in found if isinstance(one, str)]
        if kind == "train":
            asks += _gpu([one for job in jobs for a in spent.of(job.name) for one in a.times])
    grace, warning = _grace(chain, spent)
    asks += [grace] if grace else []
    return NextTime(tuple(asks), tuple(missing), warning)


def kind_of(job: ChainJob) -> str:
    """Return the section of the site that a job has its size from."""
    kind = job.name.partition(".")[0].partition("-")[0]
    return "train" if kind == "run" else kind


def asked_of(chain: Chain, job: ChainJob) -> dict[str, str]:
    """Return the options of a job's script by name; empty if it has none."""
    try:
        lines = (chain.folder / job.script).read_text("utf-8").splitlines()
    except OSError:
        return {}
    options = {name: line for line in lines if (name := option_of(line)) is not None}
    said = {name: re.split(r"[=\s]+", line, maxsplit=2)[2:] for name, line in options.items()}
    return {name: words[0].strip() for name, words in said.items() if words}


def needed_seconds(job: ChainJob, attempts: Sequence[JobAttempt]) -> float | None:
    """Return the time that a finished job needs in one attempt; None if that is not known.

    Of training: all attempts without lost steps and with one start-up. `evaluate` resumes at its
    shards; others begin anew in each attempt, so that only one that ended well counts.
    """
    if not attempts or attempts[-1].outcome != "done":
        return None
    if not any(one.startswith(("train/", "evaluate/")) for one in job.artefacts):
        return max((a.ran for a in attempts if a.outcome == "done" and a.ran), default=None)
    seconds = [attempt.at_least for attempt in attempts]
    if None in seconds:
        return None
    times = [one for attempt in attempts for one in attempt.times]
    starts = [one.start_up for one in times if one.start_up is not None]
    again = sum(starts) - max(starts, default=0.0) if len(attempts) > 1 else 0.0
    return sum(s or 0.0 for s in seconds) - sum(one.lost for one in times) - again


def rounded_limit(seconds: float) -> str:
    """Return a time limit with its margin, in steps of 5 minutes, above 2 hours of 15.

    >>> rounded_limit(20), rounded_limit(3600), rounded_limit(36000)
    ('00:10:00', '01:15:00', '12:30:00')
    """
    minutes = max(10.0, seconds * MARGIN / 60)
    step = 5 if minutes <= 120 else 15
    whole = math.ceil(minutes / step) * step
    return f"{whole // 60:02d}:{whole % 60:02d}:00"


def _time(
    kind: str, jobs: Sequence[ChainJob], spent: Spent, *, asked: Mapping[str, str]
) -> Ask | str:
    needs = [needed_seconds(job, spent.of(job.name)) for job in jobs]
    known = [seconds for seconds in needs if seconds is not None]
    if not known:
        return f"{kind}: time, as no job of it ended well with its times recorded"
    limit = rounded_limit(max(known))
    was = f"asked {asked['time']}, " if "time" in asked else ""
    flag = f"; or `finetune submit --time {limit}`" if kind == "train" else ""
    why = f"{was}needs {duration(max(known))} in one attempt{flag}"
    return Ask(kind, "time_limit", f'time_limit: "{limit}"', why)


def _cpus(
    kind: str, jobs: Sequence[ChainJob], spent: Spent, *, asked: Mapping[str, str]
) -> Ask | str:
    ranks = ranks_of(asked)
    busy = [
        attempt.cpu_seconds / attempt.ran / (ranks if job.pack is None else 1)
        for job in jobs
        for attempt in spent.of(job.name)
        if attempt.cpu_seconds is not None and attempt.ran
    ]
    ids = {attempt.job_id for job in jobs for attempt in spent.of(job.name)}
    counted = [r for r in spent.runs if r.job_id in ids and r.cpu_seconds is not None]
    busy += [(run.cpu_seconds or 0.0) / run.seconds / ranks for run in counted if not busy]
    if not busy:
        return f"{kind}: CPU time"
    cpus = max(1, math.ceil(max(busy) * MARGIN))
    was = f"asked {asked['cpus-per-task']}, " if "cpus-per-task" in asked else ""
    why = f"{was}{max(busy):.1f} busy on average"
    return Ask(kind, "cpus_per_rank", f"cpus_per_rank: {cpus}", why)


def _memory(
    kind: str, jobs: Sequence[ChainJob], spent: Spent, *, asked: Mapping[str, str]
) -> Ask | str:
    attempts = [attempt for job in jobs for attempt in spent.of(job.name)]
    ids = {attempt.job_id for attempt in attempts}
    peaks = [run.peak_bytes for run in spent.runs if run.job_id in ids]
    peaks += [attempt.peak_bytes for attempt in attempts]
    peaks += [one.peak_memory_bytes for attempt in attempts for one in attempt.times]
    known = [peak for peak in peaks if peak is not None]
    if not known:
        return f"{kind}: memory"
    per_node = int(asked.get("ntasks-per-node", "1"))
    option = next((name for name in MEMORY if name in asked), "mem")
    shares = {"node": 1, "cpu": per_node * int(asked.get("cpus-per-task", "1")), "gpu": per_node}
    needed = max(known) * per_node / shares[MEMORY[option]]
    value = max(1, math.ceil(needed * MARGIN / GIB))
    was = f"asked {asked[option]}, " if option in asked else ""
    each = f" per rank, {per_node} ranks per node" if per_node > 1 else ""
    why = f"{was}peak {max(known) / GIB:.1f} GiB{each}"
    return Ask(kind, option, f'sbatch: ["#SBATCH --{option}={value}G"]', why)


def _gpu(times: Sequence[Attempt]) -> list[Ask]:
    """Return the use of rank 0's GPU; nothing where NVML did not answer."""
    used = [one.gpu for one in times if one.gpu is not None]
    peaks = [gpu.memory_peak_bytes for gpu in used if gpu.memory_peak_bytes is not None]
    totals = [gpu.memory_total_bytes for gpu in used if gpu.memory_total_bytes is not None]
    busy = [gpu.utilization_mean for gpu in used if gpu.utilization_mean is not None]
    parts = []
    if peaks:
        enough = f"; {math.ceil(max(peaks) * MARGIN / GIB)} GiB are enough"
        of = f" of {max(totals) / GIB:.1f}" if totals else ""
        parts.append(f"memory peak {max(peaks) / GIB:.1f}{of} GiB{enough}")
    if busy:
        parts.append(f"busy {sum(busy) / len(busy):.0%} of the time")
    return [Ask("train", "gpu", "", f"GPU of rank 0: {', '.join(parts)}")] if parts else []


def ranks_of(asked: Mapping[str, str]) -> int:
    """Return the number of ranks of a script's job."""
    return int(asked.get("nodes", "1")) * int(asked.get("ntasks-per-node", "1"))


def grace_of(asked: Mapping[str, str]) -> int | None:
    """Return the seconds between the stop signal and the time limit of a script."""
    _, at, seconds = asked.get("signal", "").rpartition("@")
    return int(seconds) if at and seconds.isdigit() else None


def grace_warning(last_checkpoint: float | None, grace: int | None) -> str:
    """Return a warning if the last checkpoint took most of the grace time, else nothing.

    >>> grace_warning(20.0, 120), grace_warning(None, 120)
    ('', '')
    >>> grace_warning(80.0, 120)
    'the last checkpoint took 1 min of the 120 s of grace_seconds; raise it to 180 in the site file'
    """
    if last_checkpoint is None or grace is None or last_checkpoint <= grace / 2:
        return ""
    return (
        f"the last checkpoint took {duration(last_checkpoint)} of the {grace} s of grace_seconds; "
        f"raise it to {_rounded_grace(last_checkpoint)} in the site file"
    )


def _rounded_grace(checkpoint: float) -> int:
    return max(60, math.ceil(checkpoint * GRACE_MARGIN / 30) * 30)


def _grace(chain: Chain, spent: Spent) -> tuple[Ask | None, str]:
    """Return the grace time from the longest checkpoint, and the warning about the last one."""
    times = [one for attempt in spent.attempts for one in attempt.times]
    longest = [one.longest_checkpoint for one in times if one.longest_checkpoint is not None]
    if not longest:
        return None, ""
    jobs = [job for job in chain.jobs if kind_of(job) == "train"]
    grace = grace_of(asked_of(chain, jobs[0])) if jobs else None
    last = [one.last_checkpoint for one in times if one.last_checkpoint is not None][-1]
    was = f"asked {grace}, " if grace is not None else ""
    why = f"{was}the longest checkpoint took {max(longest):.1f} s"
    value = _rounded_grace(max(longest))
    ask = Ask("", "grace_seconds", f"grace_seconds: {value}", why)
    return ask, grace_warning(last, grace)
