"""What a training reports: metrics.jsonl, TensorBoard events and a picture of the loss.

metrics.jsonl has one object a line: {"kind": "train", "step", "loss" (nats a supervised token),
"learning_rate", "grad_norm", "tokens", "supervised_tokens", "seconds"} and
{"kind": "validation", "step", VALIDATION: {language: value}, "mean"}.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import IO, Any

from finetune.spec.tables.metric import VALIDATION, metric
from finetune.train.state import Progress

METRICS = "metrics.jsonl"
LANGUAGES_IN_PICTURE = 12


def read_metrics(path: Path, *, until: Progress | None = None) -> list[dict[str, Any]]:
    """Return the records of a metrics file, those after `until` left out.

    A last line that a kill cut short is left out too.
    """
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except ValueError:
            break  # nothing after a torn line was written before it
        if until is not None:
            validated = record["kind"] == "validation"
            if record["step"] > (until.validated_step if validated else until.step):
                continue
        records.append(record)
    return records


class Metrics:
    """Owns the open metrics file and the TensorBoard writer."""

    def __init__(self, directory: Path | None, *, resumed: Progress, tensorboard: bool) -> None:
        """Open the files in `directory`; with None (ranks that do not write) nothing is kept."""
        self._board: Any = None
        if directory is None:
            self._file: IO[str] = Path(os.devnull).open("a", encoding="utf-8")  # noqa: SIM115, kept
            return
        path = directory / METRICS
        kept = read_metrics(path, until=resumed)
        aside = path.with_suffix(".tmp")
        aside.write_text("".join(_line(r) for r in kept), encoding="utf-8")
        aside.rename(path)
        self._file = path.open("a", buffering=1, encoding="utf-8")
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(
                str(directory / "tensorboard"), purge_step=resumed.step + 1 if kept else None
            )

    def __enter__(self) -> Metrics:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()

    def train_step(self, step: int, **values: float) -> None:
        """Record one optimizer step."""
        self._file.write(_line({"kind": "train", "step": step, **values}))
        if self._board is not None:
            for name in ("loss", "learning_rate", "grad_norm", "tokens_per_second"):
                if name in values:
                    self._board.add_scalar(f"train/{name}", values[name], step)

    def validation(
        self, step: int, *, scores: Mapping[str, float], epochs: Mapping[str, float]
    ) -> None:
        """Record one validation, and how often each language has been seen until then."""
        mean = fmean(scores.values())
        record = {"kind": "validation", "step": step, VALIDATION: dict(scores)}
        self._file.write(_line(record | {"mean": mean, "epochs": dict(epochs)}))
        if self._board is not None:
            self._board.add_scalar("validation/mean", mean, step)
            for language, value in scores.items():
                self._board.add_scalar(f"validation/{language}", value, step)
            for language, value in epochs.items():
                self._board.add_scalar(f"epochs/{language}", value, step)

    def sync(self) -> None:
        """Wait until all records are on the disk; done before a checkpoint that counts on them."""
        os.fsync(self._file.fileno())
        if self._board is not None:
            self._board.flush()


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def draw_loss(path: Path, records: list[dict[str, Any]]) -> None:
    """Draw training loss and validation scores by language over steps, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps = [r for r in records if r["kind"] == "train"]
    validations = [r for r in records if r["kind"] == "validation"]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot([r["step"] for r in steps], [r["loss"] for r in steps], color="tab:blue")
    left.set(xlabel="step", ylabel="nats per supervised token", title="training loss")
    languages = sorted({name for r in validations for name in r[VALIDATION]})
    for language in languages[:LANGUAGES_IN_PICTURE]:
        points = [(r["step"], r[VALIDATION].get(language)) for r in validations]
        right.plot(*zip(*points, strict=True), marker=".", label=language)
    hidden = len(languages) - LANGUAGES_IN_PICTURE
    title = "validation" + (f" (first {LANGUAGES_IN_PICTURE} languages)" if hidden > 0 else "")
    right.set(xlabel="step", ylabel=metric(VALIDATION).label, title=title)
    if languages:
        right.legend(fontsize="x-small")
    figure.savefig(path, dpi=120, metadata={"Software": None})
