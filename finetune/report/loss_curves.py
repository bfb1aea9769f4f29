"""Loss curves of runs: training loss by step, and validation by language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.artefacts.timeline.attempts import METRICS, read_records
from finetune.report.run_facts import Run

MOST_POINTS = 200
"""Of a curve; of more, means of equal stretches."""

Point = tuple[float, float]
"""Step and value."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves of one run."""

    label: str
    loss: tuple[Point, ...]
    """Nats per supervised token."""
    validation: dict[str, tuple[Point, ...]]
    """Bits per byte by language."""
    best_step: int | None = None


def loss_curves(runs: Sequence[Run]) -> list[Curves]:
    """Return the curves of the runs that recorded some."""
    found = []
    for run in runs:
        if run.trained is None:
            continue
        history: dict[str, list[Point]] = {}
        for one in run.trained.history:
            for language, value in one.bits_per_byte.items():
                history.setdefault(language, []).append((one.step, value))
        loss = _thinned(list(_losses(run.train_folder / METRICS)) if run.train_folder else [])
        validation = {language: tuple(points) for language, points in history.items()}
        if loss or validation:
            found.append(Curves(run.label, loss, validation, run.trained.best_step))
    return found


def _losses(path: Path) -> Iterator[Point]:
    for record in read_records(path):
        if record.get("kind") == "train":
            yield float(record["step"]), float(record["loss"])


def _thinned(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return at most MOST_POINTS points: means of stretches of equal length."""
    each = -(-len(points) // MOST_POINTS) or 1
    parts = [points[start : start + each] for start in range(0, len(points), each)]
    return tuple(
        (sum(step for step, _ in part) / len(part), sum(value for _, value in part) / len(part))
        for part in parts
    )
