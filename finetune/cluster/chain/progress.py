"""Progress of a job, from the store alone: metrics, leases, logs, checkpoints."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from finetune.artefacts.results import PrepareResult, TrainResult, parse_result
from finetune.cluster.chain.chain import Chain, ChainJob, read_events
from finetune.errors import FinetuneError, StoreError
from finetune.launch.pulse import read_beats
from finetune.output.small_files import UnreadableError, read_json
from finetune.pipeline.build import lease_of
from finetune.pipeline.lease import look, seconds_since_beat
from finetune.pipeline.manifest import read_manifest
from finetune.pipeline.store import Store
from finetune.spec.load import load_recipe
from finetune.spec.sections.training import total_steps

METRICS = "metrics.jsonl"
_TAIL_BYTES = 65536
_RECENT_STEPS = 20
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of one job."""

    done: bool | None
    """True if all artefacts of the job are in the store; None if the chain does not name them."""
    damaged: str | None = None
    """Damage of an artefact, and what to do."""
    step: int | None = None
    """Optimizer steps done."""
    total_steps: int | None = None
    loss: float | None = None
    """Nats per supervised token, of the newest step."""
    recent_loss: float | None = None
    """Median over the last steps."""
    guessing_loss: float | None = None
    """Loss of a uniform guess, ln of the base's vocabulary, in nats per token."""
    tokens_per_second: float | None = None
    """Mean over the last steps; over all steps of a finished training run."""
    step_seconds: float | None = None
    """Median over the last steps."""
    moved: float | None = None
    """Time of the newest step, else of the log; seconds since the epoch."""
    beat: float | None = None
    """Last heartbeat of the artefact's lease, on this machine's clock."""
    last_line: str | None = None
    """Last line of the log."""
    hang: str | None = None
    """The rank that hangs, in a line, as another rank of the running launch has seen it."""
    lost_step: int | None = None
    """Step of a checkpoint that was written and no longer exists."""
    checkpoint_step: int | None = None
    """Step of the newest checkpoint."""
    checkpoint_used: float | None = None
    """Time of its last use; seconds since the epoch."""

    @property
    def seconds_left(self) -> float | None:
        """Time to the last step, at the recent speed."""
        if self.done or None in (self.step, self.total_steps, self.step_seconds):
            return None
        assert self.step is not None and self.total_steps is not None  # noqa: S101, PT018
        return max(0, self.total_steps - self.step) * (self.step_seconds or 0.0)


def progress_of(chain: Chain, job: ChainJob, *, job_id: str | None) -> Progress:
    """Read the progress of a job from the store; changes nothing."""
    store = Store(Path(chain.store))
    damaged = _damaged(store, job)
    done = not store.lacking(job.artefacts) and damaged is None if job.artefacts else None
    log = chain.log_path(job.name, job_id) if job_id else None
    beats = [_last_beat(lease_of(store.path_of(*a.split("/")))) for a in job.artefacts]
    facts: dict[str, Any] = {
        "done": done,
        "damaged": damaged,
        "beat": max((b for b in beats if b is not None), default=None),
        "moved": _time(log) if log else None,
        "last_line": last_line(log) if log else None,
    }
    training = next((a for a in job.artefacts if a.startswith("train/")), None)
    if training is None or damaged is not None:
        return Progress(**facts)
    path = store.path_of(*training.split("/"))
    try:
        finished = _finished(path)
    except StoreError as error:
        return Progress(**facts | {"done": False, "damaged": str(error)})
    if finished is not None:
        return Progress(**facts | finished)
    begun = store.partial_of(*training.split("/")) or path.with_suffix(".partial")
    return Progress(**facts | _training(chain, job, begun))


def recent_steps(path: Path) -> list[dict[str, Any]]:
    """Return the newest training records of a metrics file, oldest first.

    Only its end is read; incomplete lines are skipped.
    """
    records = []
    for line in _tail(path).splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("kind") == "train":
            records.append(record)
    return records[-_RECENT_STEPS:]


def last_line(path: Path) -> str | None:
    """Return the last non-empty line of a log, without control characters."""
    for line in reversed(_tail(path).splitlines()):
        shown = _CONTROL.sub("", line.rpartition("\r")[2]).strip()
        if shown:
            return shown
    return None


def _damaged(store: Store, job: ChainJob) -> str | None:
    for artefact in job.artefacts:
        try:
            store.find(*artefact.split("/"))
        except StoreError as error:
            return str(error)
    return None


def _finished(path: Path) -> dict[str, Any] | None:
    if not path.is_dir():
        return None
    result = parse_result(read_manifest(path).result, TrainResult, path=path)
    return {
        "step": result.steps,
        "total_steps": result.steps,
        "loss": result.loss_last,
        "tokens_per_second": result.tokens_per_second,
    }


def _training(chain: Chain, job: ChainJob, partial: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"total_steps": job.total_steps or _counted_steps(chain, job)}
    steps = recent_steps(partial / METRICS)
    if steps:
        seconds = [float(s.get("seconds", 0.0)) for s in steps]
        facts |= {
            "step": steps[-1]["step"],
            "loss": steps[-1].get("loss"),
            "recent_loss": _median(step.get("loss") for step in steps),
            "guessing_loss": _guessing_loss(chain, job),
            "step_seconds": median(seconds),
            "moved": _time(partial / METRICS),
        }
        if sum(seconds) > 0:
            facts["tokens_per_second"] = sum(s.get("tokens", 0) for s in steps) / sum(seconds)
    facts["hang"] = _hang(partial)
    written = [e.checkpoint_step for e in read_events(chain, job.name) if e.checkpoint_step]
    kept = newest_step(partial / "checkpoints")
    facts["checkpoint_step"] = kept
    facts["checkpoint_used"] = _last_used(partial / "checkpoints")
    if written and max(written) > (kept or 0):
        facts["lost_step"] = max(written)
    return facts


def _median(values: Iterable[Any]) -> float | None:
    numbers = [value for value in values if isinstance(value, int | float)]
    return median(numbers) if numbers else None


def _guessing_loss(chain: Chain, job: ChainJob) -> float | None:
    base = next((name for name in reversed(job.inputs) if name.startswith("base/")), None)
    if base is None:
        return None
    try:
        config = read_json(Path(chain.store) / base / "model/config.json", dict[str, Any])
    except (UnreadableError, OSError):
        return None
    text = config.get("text_config")
    size = (text if isinstance(text, dict) else config).get("vocab_size")
    return math.log(size) if isinstance(size, int) and size > 1 else None


def _hang(partial: Path) -> str | None:
    """Return what a rank of the launch that builds now says of a hang."""
    holder = look(lease_of(partial.with_name(partial.name.partition(".")[0])))
    if holder is None or holder.builder is None:
        return None
    beats = read_beats(partial, launch=holder.builder.launch or "")
    return next((beat.hang for beat in beats if beat.hang), None)


def newest_step(checkpoints: Path) -> int | None:
    """Return the optimizer step of the newest checkpoint folder; None if there is none."""
    names = [p.name for p in checkpoints.glob("step-*") if p.suffix != ".tmp"]
    matches = [re.match(r"step-(\d+)", name) for name in names]
    return max((int(m[1]) for m in matches if m), default=None)


def shards_done(folder: Path) -> int | None:
    """Return how many shards of an evaluation are measured; None if there is none."""
    return sum(1 for _ in folder.rglob("*.jsonl")) or None


def _counted_steps(chain: Chain, job: ChainJob) -> int | None:
    """Return the steps of a training run in epochs, once its corpus is prepared."""
    label = next(s for s in job.stages if s.startswith("train"))
    prepared = next((i for i in reversed(job.inputs) if i.startswith("prepare/")), None)
    path = Path(chain.store) / (prepared or "prepare/none")
    if prepared is None or not path.is_dir():
        return None
    try:
        recipe = load_recipe(chain.recipe_of(job.name))
        prepared_result = parse_result(read_manifest(path).result, PrepareResult, path=path)
    except FinetuneError:
        return None  # the total is optional
    name = label.removeprefix("train").strip()
    phases = recipe.training_phases
    phase = next((p for p in phases if p.name == name), phases[0])
    rows_per_step = phase.train.rows_per_step(recipe.prepare.sequence_tokens)
    rows = prepared_result.counts.train.rows
    return total_steps(phase.train, num_rows=rows, rows_per_step=rows_per_step)


def _last_used(checkpoints: Path) -> float | None:
    try:
        files = [path.stat() for path in checkpoints.glob("step-*/*")]
    except FileNotFoundError:
        return time.time()  # one was just removed: a training run is active
    return max((max(file.st_mtime, file.st_atime) for file in files), default=None)


def _last_beat(lease: Path) -> float | None:
    """Return when a lease last changed; the store may have another clock."""
    age = seconds_since_beat(lease)
    return None if age is None else time.time() - age


def _time(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
