"""Training metrics: metrics.jsonl, TensorBoard events and a plot of the loss.

metrics.jsonl has one object a line: {"kind": "train", "step", "loss" (nats a supervised token),
"learning_rate", "grad_norm", "tokens", "supervised_tokens", "seconds", "data_seconds"} and
{"kind": "validation", "step", VALIDATION: {language: value}, "mean", "seconds"}; where a resumed
run computes another loss than before, or with other versions, also
{"kind": "seam", "step", "before", "after" (bits per byte, see train/resuming/seam.py), "versions"}.

Every attempt begins with {"kind": "start", "step" (resumed), "time" (UTC), "launch", "ranks",
"device", "seconds" (until training began), "parts": {"imports", "ranks", "resume", "model",
"layout", "engine", "seam"}, "gpu_memory_total_bytes"} and, unless it was killed, ends with
{"kind": "end", "step", "outcome", "seconds" (of the attempt), "finish_seconds", "peak_bytes"}. A
checkpoint is {"kind": "checkpoint", "step", "seconds", "peak_bytes"}, the loss measured at it
{"kind": "probe", "step", "seconds"}. Where NVML answers, a step every few seconds has
"gpu_utilization" (share) and "gpu_memory_bytes" of rank 0's GPU. `seconds` are of rank 0's clock.
What a resumption cuts off stays as {"kind": "lost", "of": "train" or "validation", "step",
"seconds", ...}, without its results. `artefacts/timeline` reads the times.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import IO, Any, Literal, get_args

from pydantic import BaseModel, ValidationError

from finetune.errors import Stopped
from finetune.launch.gpu_load import GpuLoad
from finetune.launch.machine_memory import peak_bytes
from finetune.output.small_files import UnreadableError, parse_json
from finetune.spec.tables.metric import VALIDATION, metric
from finetune.train.curves.event_file import EventFile
from finetune.train.curves.trackers import Guarded
from finetune.train.state import Progress
from finetune.train.times.stopwatch import Stopwatch

METRICS = "metrics.jsonl"
STEP_VALUES = ("loss", "learning_rate", "grad_norm")
"""Values of a step that trackers show."""


_OfTimes = Literal["start", "checkpoint", "probe", "end", "lost"]
TIMES = ("seconds", "data_seconds", "gpu_utilization", "gpu_memory_bytes")
"""Values of a step that stay when a resumption cuts it off."""


class _Record(BaseModel):
    """Fields of every line."""

    kind: Literal["train", "validation", "seam"] | _OfTimes
    step: int


LANGUAGES_IN_PICTURE = 12


def read_metrics(path: Path, *, until: Progress | None = None) -> list[dict[str, Any]]:
    """Return the records of a metrics file up to `until`; of steps after it their times alone.

    A line that a kill cut short, or that is damaged, is dropped with all after it.
    """
    records: list[dict[str, Any]] = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            record = parse_json(line, dict[str, Any])
            _Record(**record)
        except (UnreadableError, ValidationError):
            break  # nothing after a torn line was written before it
        if until is not None and _is_after(record, until):
            lost = _lost(record)
            records += [lost] if lost else []
        else:
            records.append(record)
    return records


def _is_after(record: Mapping[str, Any], until: Progress) -> bool:
    """Return whether training will make a record once more; records of times alone stay."""
    if record["kind"] in get_args(_OfTimes):
        return False
    validated = record["kind"] == "validation"
    return bool(record["step"] > (until.validated_step if validated else until.step))


def _lost(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the times of a record that a resumption cuts off; None if it has none."""
    times = {name: record[name] for name in TIMES if name in record}
    if not times or record["kind"] not in ("train", "validation"):
        return None
    return {"kind": "lost", "of": record["kind"], "step": record["step"], **times}


class Metrics:
    """Owns the open metrics file, the TensorBoard writer and other trackers."""

    def __init__(
        self,
        directory: Path | None,
        *,
        resumed: Progress,
        tensorboard: bool,
        trackers: Guarded | None = None,
        gpu: GpuLoad | None = None,
    ) -> None:
        """Open the files in `directory`; with None (ranks that do not write) nothing is kept."""
        self._board: EventFile | None = None
        self._gpu = GpuLoad() if directory is None or gpu is None else gpu
        self._watch: Stopwatch | None = None
        self._step = resumed.step
        self._trackers = trackers
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
            purge_step = resumed.step + 1 if kept else None
            self._board = EventFile(directory / "tensorboard", purge_step=purge_step)

    def __enter__(self) -> Metrics:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end("done" if error is None else "stopped" if _is_stop(error) else "failed")
        self._file.close()
        if self._board is not None:
            self._board.close()
        if self._trackers is not None:
            self._trackers.close()

    def train_step(self, step: int, **values: float) -> None:
        """Record one optimizer step."""
        self._step = step
        self._file.write(_line({"kind": "train", "step": step, **values, **self._gpu.sample()}))
        shown = {name: values[name] for name in list(values) if name in STEP_VALUES}
        if values.get("seconds") and "tokens" in values:
            shown["tokens_per_second"] = values["tokens"] / values["seconds"]
        self._scalars({f"train/{name}": value for name, value in shown.items()}, step)

    def validation(
        self,
        step: int,
        *,
        scores: Mapping[str, float],
        epochs: Mapping[str, float],
        seconds: float,
    ) -> None:
        """Record one validation, and how often each language has been seen until then."""
        mean = fmean(scores.values())
        record = {"kind": "validation", "step": step, VALIDATION: dict(scores)}
        record |= {"mean": mean, "epochs": dict(epochs), "seconds": round(seconds, 4)}
        self._file.write(_line(record))
        shown = {"validation/mean": mean}
        shown |= {f"validation/{language}": value for language, value in scores.items()}
        shown |= {f"epochs/{language}": value for language, value in epochs.items()}
        self._scalars(shown, step)

    def start(self, watch: Stopwatch, *, launch: str | None, ranks: int, device: str) -> None:
        """Record the start of an attempt, once all is loaded; the end is recorded when it closes.

        `launch`: the batch job and the number of the attempt, None outside of one.
        """
        self._watch = watch
        values: dict[str, Any] = {
            "time": watch.time,
            "launch": launch,
            "ranks": ranks,
            "device": device,
        }
        parts = {name: round(seconds, 4) for name, seconds in watch.parts.items()}
        values |= {"seconds": round(watch.seconds, 4), "parts": parts, **self._gpu.memory_total()}
        self._file.write(_line({"kind": "start", "step": self._step, **values}))

    def checkpoint(self, step: int, *, seconds: float) -> None:
        """Record the seconds of a checkpoint, gathering and writing."""
        values = {"seconds": round(seconds, 4), "peak_bytes": peak_bytes()}
        self._file.write(_line({"kind": "checkpoint", "step": step, **values}))

    def probe(self, step: int, *, seconds: float) -> None:
        """Record the seconds of measuring the loss at a checkpoint."""
        self._file.write(_line({"kind": "probe", "step": step, "seconds": round(seconds, 4)}))

    def _end(self, outcome: str) -> None:
        """Record the end of an attempt; a full disk, which has ended it, takes no record."""
        if self._watch is None:
            return
        finish = self._watch.parts.get("finish", 0.0)
        values = {"seconds": round(self._watch.seconds, 4), "finish_seconds": round(finish, 4)}
        record = {"kind": "end", "step": self._step, "outcome": outcome, **values}
        with suppress(OSError):  # past the buffer, which would fail once more when it is closed
            os.write(self._file.fileno(), _line(record | {"peak_bytes": peak_bytes()}).encode())

    def seam(self, step: int, *, before: float, after: float, versions: Sequence[str]) -> None:
        """Record the losses where a run resumed, and the versions that differ."""
        values = {"before": before, "after": after, "versions": list(versions)}
        self._file.write(_line({"kind": "seam", "step": step, **values}))

    def _scalars(self, values: Mapping[str, float], step: int) -> None:
        """Give values of a step to TensorBoard and to the trackers, under the same names."""
        if self._board is not None:
            for name, value in values.items():
                self._board.scalar(name, value, step)
        if self._trackers is not None:
            self._trackers.log(values, step)

    def sync(self) -> None:
        """Wait until all records are on the disk, before a checkpoint that depends on them."""
        os.fsync(self._file.fileno())
        if self._board is not None:
            self._board.sync()


def _is_stop(error: BaseException) -> bool:
    return isinstance(error, Stopped | KeyboardInterrupt)


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
