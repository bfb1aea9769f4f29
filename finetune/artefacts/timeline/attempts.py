"""The attempts at a training run, from the records of its metrics.jsonl.

Every attempt begins with a record `start`; what precedes the first one is of an older finetune. A
resumption leaves the times of what it cut off as records `lost`, so that no second is forgotten. A
training run that continues a shorter one begins with the attempts of that one.

What was not recorded is None, never zero. Seconds are of rank 0's clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

METRICS = "metrics.jsonl"
PARTS = ("start_up", "data", "compute", "validation", "checkpoints", "finish")
"""Attributes of an attempt that add up to what is known of its time."""


@dataclass(frozen=True, slots=True)
class GpuUse:
    """Use of rank 0's GPU at the ends of steps, the whole device; None where NVML was silent."""

    utilization_mean: float | None = None
    """Share of the time in which a kernel ran."""
    utilization_peak: float | None = None
    memory_mean_bytes: float | None = None
    memory_peak_bytes: float | None = None
    memory_total_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a training run."""

    time: str | None = None
    """Begin: UTC, ISO 8601."""
    launch: str | None = None
    """`CHAIN/JOB#NUMBER` in a job of a chain."""
    outcome: str | None = None
    """`done`, `stopped` or `failed`; None if it was killed, or still runs."""
    ranks: int | None = None
    device: str | None = None
    first_step: int = 0
    """Step from which it went on."""
    steps: int = 0
    """Optimizer steps, with those that were lost later."""
    lost_steps: int = 0
    """Steps after its last checkpoint, which a later attempt did once more."""
    elapsed: float | None = None
    """Seconds from begin to end; None if it was killed."""
    start_up: float | None = None
    """Seconds until training began: imports, meeting of the ranks, checkpoint, model, engine."""
    start_up_parts: Mapping[str, float] = field(default_factory=dict)
    data: float | None = None
    """Seconds of steps in which the host made batches; on a GPU it works meanwhile."""
    compute: float | None = None
    """The other seconds of steps; with those for data, where these were not recorded."""
    validation: float | None = None
    checkpoints: float | None = None
    """Seconds of checkpoints, with the loss measured at each."""
    finish: float | None = None
    """Seconds after training: adapter, state and picture."""
    lost: float = 0.0
    """Seconds of its lost steps, which are among `data` and `compute`."""
    longest_checkpoint: float | None = None
    last_checkpoint: float | None = None
    peak_memory_bytes: int | None = None
    """Largest resident set of rank 0's process."""
    gpu: GpuUse | None = None
    """None without a sample."""

    @property
    def measured(self) -> float:
        """The seconds of all parts together."""
        return sum(getattr(self, part) or 0.0 for part in PARTS)

    @property
    def other(self) -> float | None:
        """The seconds of no part: between steps, and in the trackers."""
        return None if self.elapsed is None else max(0.0, self.elapsed - self.measured)

    @property
    def last_step(self) -> int:
        """The step that it reached."""
        return self.first_step + self.steps


def read_attempts(artefact: Path) -> tuple[Attempt, ...]:
    """Return the attempts at the training run of an artefact, finished or not, oldest first."""
    return attempts_of(read_records(artefact / METRICS))


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a metrics file that are records; empty if there is no such file."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # torn by a kill, or being written
        if isinstance(record, dict):
            found.append(record)
    return found


def attempts_of(records: Iterable[Mapping[str, Any]]) -> tuple[Attempt, ...]:
    """Return the attempts in the records of a metrics file, oldest first."""
    groups: list[list[Mapping[str, Any]]] = []
    for record in records:
        if record.get("kind") == "start" or not groups:
            groups.append([])
        groups[-1].append(record)
    return tuple(_attempt(group) for group in groups)


def _attempt(records: Sequence[Mapping[str, Any]]) -> Attempt:
    start = records[0] if records[0].get("kind") == "start" else {}
    end = next((r for r in records if r.get("kind") == "end"), {})
    parts = start.get("parts")
    lost = [r for r in records if r.get("kind") == "lost" and r.get("of") == "train"]
    kept = [r for r in records if r.get("kind") == "train"]
    steps = [*kept, *lost]
    seconds, data = _sum(steps, "seconds"), _sum(steps, "data_seconds")
    checkpoints = _checkpoints(records)
    memory = [_number(r.get("peak_bytes")) for r in records]
    peaks = [value for value in memory if value is not None]
    return Attempt(
        time=_text(start.get("time")),
        launch=_text(start.get("launch")),
        outcome=_text(end.get("outcome")),
        ranks=_whole(start.get("ranks")),
        device=_text(start.get("device")),
        first_step=_whole(start.get("step")) or 0,
        steps=len({r.get("step") for r in steps}),
        lost_steps=len(lost),
        elapsed=_number(end.get("seconds")),
        start_up=_number(start.get("seconds")),
        start_up_parts=dict(parts) if isinstance(parts, dict) else {},
        data=data,
        compute=None if seconds is None else max(0.0, seconds - (data or 0.0)),
        validation=_sum([r for r in records if _is_validation(r)], "seconds"),
        checkpoints=sum(checkpoints) if checkpoints else None,
        finish=_number(end.get("finish_seconds")),
        lost=_sum(lost, "seconds") or 0.0,
        longest_checkpoint=max(checkpoints, default=None),
        last_checkpoint=checkpoints[-1] if checkpoints else None,
        peak_memory_bytes=int(max(peaks)) if peaks else None,
        gpu=_gpu(steps, total=_number(start.get("gpu_memory_total_bytes"))),
    )


def _is_validation(record: Mapping[str, Any]) -> bool:
    kind = record.get("kind")
    return kind == "validation" or (kind == "lost" and record.get("of") == "validation")


def _checkpoints(records: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the seconds of each checkpoint, with the loss measured at it."""
    found: list[float] = []
    for record in records:
        seconds = _number(record.get("seconds"))
        if seconds is None:
            continue
        if record.get("kind") == "checkpoint":
            found.append(seconds)
        elif record.get("kind") == "probe" and found:
            found[-1] += seconds
    return found


def _gpu(steps: Sequence[Mapping[str, Any]], *, total: float | None) -> GpuUse | None:
    busy = _numbers(steps, "gpu_utilization")
    memory = _numbers(steps, "gpu_memory_bytes")
    if not busy and not memory:
        return None
    return GpuUse(
        utilization_mean=sum(busy) / len(busy) if busy else None,
        utilization_peak=max(busy, default=None),
        memory_mean_bytes=sum(memory) / len(memory) if memory else None,
        memory_peak_bytes=max(memory, default=None),
        memory_total_bytes=total,
    )


def _sum(records: Iterable[Mapping[str, Any]], name: str) -> float | None:
    """Return the sum of a value over the records that have it; None if none has."""
    numbers = _numbers(records, name)
    return sum(numbers) if numbers else None


def _numbers(records: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    return [n for r in records if (n := _number(r.get(name))) is not None]


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
