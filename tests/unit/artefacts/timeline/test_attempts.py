"""The attempts at a training run: what its metrics tell of them, and what they do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.timeline.attempts import Attempt, GpuUse, attempts_of, read_attempts
from finetune.artefacts.timeline.times_line import seconds_by_part, times_line

KILLED: list[dict[str, Any]] = [
    {"kind": "start", "step": 0, "time": "2026-01-01T08:00:00+00:00", "launch": "chain/train#1"}
    | {"ranks": 2, "device": "cuda", "seconds": 30.0, "parts": {"imports": 20.0, "model": 10.0}}
    | {"gpu_memory_total_bytes": 80},
    {"kind": "train", "step": 1, "seconds": 4.0, "data_seconds": 1.0, "gpu_memory_bytes": 20}
    | {"gpu_utilization": 0.5},
    {"kind": "validation", "step": 1, "seconds": 6.0},
    {"kind": "checkpoint", "step": 1, "seconds": 2.0, "peak_bytes": 100},
    {"kind": "probe", "step": 1, "seconds": 0.5},
    {"kind": "lost", "of": "train", "step": 2, "seconds": 3.0, "data_seconds": 0.5}
    | {"gpu_memory_bytes": 40},
    {"kind": "lost", "of": "validation", "step": 2, "seconds": 5.0},
]
RESUMED: list[dict[str, Any]] = [
    {"kind": "start", "step": 1, "time": "2026-01-01T09:00:00+00:00", "seconds": 10.0},
    {"kind": "train", "step": 2, "seconds": 4.0, "data_seconds": 1.0},
    {"kind": "checkpoint", "step": 2, "seconds": 1.0, "peak_bytes": 120},
    {"kind": "end", "step": 2, "outcome": "done", "seconds": 20.0, "finish_seconds": 3.0}
    | {"peak_bytes": 90},
]


def test_a_killed_attempt_keeps_its_seconds_and_has_no_elapsed_time() -> None:
    """Steps that a resumption cut off count where they were made, as lost steps."""
    first, second = attempts_of([*KILLED, *RESUMED])
    assert first == Attempt(
        time="2026-01-01T08:00:00+00:00",
        launch="chain/train#1",
        ranks=2,
        device="cuda",
        steps=2,
        lost_steps=1,
        start_up=30.0,
        start_up_parts={"imports": 20.0, "model": 10.0},
        data=1.5,
        compute=5.5,
        validation=11.0,
        checkpoints=2.5,
        lost=3.0,
        longest_checkpoint=2.5,
        last_checkpoint=2.5,
        peak_memory_bytes=100,
        gpu=GpuUse(0.5, 0.5, 30.0, 40, 80),
    )
    assert (first.other, second.other, second.elapsed) == (None, 2.0, 20.0)
    assert (second.gpu, second.validation, second.peak_memory_bytes) == (None, None, 120)


def test_metrics_of_an_older_finetune_are_one_attempt_without_the_missing_parts() -> None:
    """Seconds of steps are there, and nothing is called zero that was not measured."""
    (only,) = attempts_of([{"kind": "train", "step": n, "seconds": 2.0} for n in (1, 2)])
    assert only == Attempt(steps=2, compute=4.0)


def test_damaged_lines_and_values_of_other_types_are_left_out(tmp_path: Path) -> None:
    """A file that is written to, or was cut by a kill, is read as far as it goes."""
    odd = [{"kind": "train", "step": 1, "seconds": "2"}, ["train"], {"kind": "start", "parts": 1}]
    lines = [*map(json.dumps, [*odd, RESUMED[1]]), '{"kind": "tra']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    first, second = read_attempts(tmp_path)
    assert (first.compute, second.compute) == (None, 3.0)
    assert read_attempts(tmp_path / "nowhere") == ()


def test_the_line_has_every_measured_part_and_the_steps_done_twice() -> None:
    """Shares are of what was measured; facts have the seconds."""
    line, facts = times_line(attempts_of([*KILLED, *RESUMED]))
    assert str(line) == (
        "time: 1 min in 2 attempts; steps 12%, batches 4%, validation 16%, checkpoints 5%, "
        "start-up 57%, writing the adapter 4%, other 3%; 1 step was done twice"
    )
    assert facts["lost_steps"] == 1
    assert facts["seconds_by_part"]["compute"] == pytest.approx(8.5)
    assert "validation" not in seconds_by_part(attempts_of(RESUMED))
