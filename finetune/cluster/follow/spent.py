"""Time of a chain by job and attempt: queued, run, and charged.

Hours are those of the allocation: what was asked for and given, used or not. They come from Slurm's
accounting where a database answers, else from the chain's own records. A killed attempt has no
record of its end; its time is then known from the metrics at the least, and the report states that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from finetune.artefacts.timeline.attempts import Attempt, read_attempts
from finetune.artefacts.timeline.times_line import seconds_by_part
from finetune.cluster.chain.chain import (
    AttemptEvent,
    Chain,
    ChainJob,
    read_events,
    read_submissions,
)
from finetune.cluster.slurm.accounting import Run
from finetune.pipeline.store import Store

Source = Literal["sacct", "records"]
RESOURCES = ("nodes", "cpus", "gpus")


@dataclass(frozen=True, slots=True)
class JobAttempt:
    """One attempt at a job of a chain; None where nothing was recorded."""

    job: str
    number: int
    """From 1, over all submissions."""
    job_id: str
    restart: int
    """Restarts of the job by Slurm before it."""
    began: str
    """UTC, ISO 8601."""
    queued: float | None = None
    """Seconds from when it could have begun: submitted, jobs before it and attempt before over."""
    ran: float | None = None
    """Seconds to its end; None if it was killed, or runs."""
    outcome: str | None = None
    allocated: Mapping[str, int] | None = None
    peak_bytes: int | None = None
    """Largest resident set of a rank."""
    cpu_seconds: float | None = None
    """Of all ranks."""
    times: tuple[Attempt, ...] = ()
    """Of the training runs in it."""

    @property
    def at_least(self) -> float | None:
        """Return the seconds that it ran, or of a killed one those that its metrics show."""
        if self.ran is not None or not self.times:
            return self.ran
        return sum(attempt.elapsed or attempt.measured for attempt in self.times)

    @property
    def parts(self) -> dict[str, float]:
        """Return the seconds of each measured part of training; `other` is the rest of the job."""
        parts = seconds_by_part(self.times)
        parts.pop("other", None)
        if parts and self.ran is not None:
            parts["other"] = max(0.0, self.ran - sum(parts.values()))
        return parts

    @property
    def lost_steps(self) -> int:
        """Return the steps that a later attempt did once more."""
        return sum(attempt.lost_steps for attempt in self.times)


@dataclass(frozen=True, slots=True)
class Charged:
    """Hours of the allocation; None where it was not recorded."""

    source: Source
    node_hours: float | None = None
    cpu_hours: float | None = None
    gpu_hours: float | None = None
    runs: int = 0
    incomplete: int = 0
    """Runs without an end or an allocation: the hours are then the least."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Time of a chain."""

    attempts: tuple[JobAttempt, ...]
    charged: Charged
    runs: tuple[Run, ...] = ()
    """Of the accounting database, by job id."""

    def of(self, job: str) -> tuple[JobAttempt, ...]:
        """Return the attempts at a job."""
        return tuple(attempt for attempt in self.attempts if attempt.job == job)


def spent_of(chain: Chain, *, runs: Sequence[Run] | None = None) -> Spent:
    """Return the time of a chain from its files; `runs`: what accounting says, if it answers."""
    events = {job.name: read_events(chain, job.name) for job in chain.jobs}
    sent = {one.job_id: one.time for one in read_submissions(chain)}
    attempts = tuple(
        one for job in chain.jobs for one in _attempts(chain, job, events=events, sent=sent)
    )
    charged = charged_of_records(attempts) if not runs else charged_of_runs(runs)
    return Spent(attempts, charged, tuple(runs or ()))


def _attempts(
    chain: Chain,
    job: ChainJob,
    *,
    events: Mapping[str, Sequence[AttemptEvent]],
    sent: Mapping[str, str],
) -> list[JobAttempt]:
    """Return the attempts at a job, oldest first.

    `events`: of each job; `sent`: job id -> time of its last submission.
    """
    own = events[job.name]
    starts = [n for n, event in enumerate(own) if event.event == "start"]
    trained = _trained(chain, job)
    found: list[JobAttempt] = []
    for number, place in enumerate(starts, start=1):
        start = own[place]
        end = _end_of(own, place)
        given = dict(end.allocated or {}) if end is not None else {}
        given |= start.allocated or {}  # at its end Slurm may already have requeued the job
        launch = f"{chain.id}/{job.name}#{number}"
        found.append(
            JobAttempt(
                job=job.name,
                number=number,
                job_id=start.job_id,
                restart=start.restart,
                began=start.time,
                queued=_queued(job, own[:place], start, events=events, sent=sent),
                ran=None if end is None else _ran(start, end),
                outcome=None if end is None else end.outcome,
                allocated=given or None,
                peak_bytes=None if end is None else end.peak_bytes,
                cpu_seconds=None if end is None else end.cpu_seconds,
                times=tuple(one for one in trained if one.launch == launch),
            )
        )
    return found


def charged_of_records(attempts: Sequence[JobAttempt]) -> Charged:
    """Return the hours of attempts from the chain's own records.

    The training runs of a pack share one allocation, which counts once.
    """
    by_run: dict[tuple[str, int], list[JobAttempt]] = {}
    for attempt in attempts:
        by_run.setdefault((attempt.job_id, attempt.restart), []).append(attempt)
    known: list[tuple[float, Mapping[str, int]]] = []
    incomplete = 0
    for together in by_run.values():
        seconds = [one.at_least for one in together if one.at_least is not None]
        given = next((one.allocated for one in together if one.allocated), None)
        if seconds and given:
            known.append((max(seconds), given))
        incomplete += given is None or any(one.ran is None for one in together)
    return Charged("records", **_hours(known), runs=len(by_run), incomplete=incomplete)


def charged_of_runs(runs: Sequence[Run]) -> Charged:
    """Return the hours of runs in the accounting database."""
    known = [(run.seconds, run.allocated) for run in runs if run.allocated]
    return Charged(
        source="sacct", **_hours(known), runs=len(runs), incomplete=len(runs) - len(known)
    )


def _hours(known: Sequence[tuple[float, Mapping[str, int]]]) -> dict[str, Any]:
    names = {"nodes": "node_hours", "cpus": "cpu_hours", "gpus": "gpu_hours"}
    found: dict[str, float | None] = {}
    for resource in RESOURCES:
        hours = [seconds * given[resource] / 3600 for seconds, given in known if resource in given]
        found[names[resource]] = sum(hours) if hours else None
    return found


def _end_of(events: Sequence[AttemptEvent], place: int) -> AttemptEvent | None:
    """Return the end of the attempt that starts at a place; None if there is no record of it."""
    for event in events[place + 1 :]:
        if event.event == "start":
            return None
        if event.event == "end":
            return event
    return None


def _ran(start: AttemptEvent, end: AttemptEvent) -> float | None:
    """Return the seconds of an attempt; Slurm's are 0 if it has already requeued the job."""
    noted = _between(start.time, end.time)
    known = [seconds for seconds in (end.ran_seconds, noted) if seconds is not None]
    return max(known, default=None)


def _queued(
    job: ChainJob,
    before: Sequence[AttemptEvent],
    start: AttemptEvent,
    *,
    events: Mapping[str, Sequence[AttemptEvent]],
    sent: Mapping[str, str],
) -> float | None:
    """Return for how long an attempt could have begun and had not; None if that is not known."""
    if start.job_id not in sent:
        return None
    free = [sent[start.job_id]]
    if before and before[-1].event == "end":
        free.append(before[-1].time)
    elif before and before[-1].job_id == start.job_id:
        return None  # the attempt before was killed, at a time that was not recorded
    for name in job.depends_on:
        ends = [event.time for event in events.get(name, ()) if event.event == "end"]
        free += ends[-1:]
    waits = [_between(time, start.time) for time in free]
    return min((max(0.0, wait) for wait in waits if wait is not None), default=None)


def _between(earlier: str, later: str) -> float | None:
    try:
        return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
    except (ValueError, TypeError):  # a time without a zone beside one with it
        return None


def _trained(chain: Chain, job: ChainJob) -> list[Attempt]:
    """Return the attempts in the metrics of a job's training runs, finished or not."""
    store = Store(Path(chain.store))
    found: list[Attempt] = []
    for artefact in job.artefacts:
        if artefact.startswith("train/"):
            path = store.path_of(*artefact.split("/"))
            folder = path if path.is_dir() else store.partial_of(*artefact.split("/"))
            found += read_attempts(folder) if folder is not None else ()
    return found
