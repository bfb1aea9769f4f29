"""The plan of a training run, its layout, and its progress: the numbers of a checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from finetune.artefacts.mixed_order import MixedOrder
from finetune.artefacts.prepared_items import PreparedItems
from finetune.models.kinds import Kind
from finetune.spec.recipe import Run
from finetune.spec.sections.training import Precision, Train
from finetune.spec.tables.metric import VALIDATION


@dataclass(frozen=True, slots=True)
class Layout:
    """Choices made by measurement; recorded so that a resumed run computes the same sums."""

    precision: Precision
    micro_batch_rows: int
    memory_gib: float | None
    gradient_checkpointing: bool
    sharding: str = "none"
    """Sharding in effect."""
    ranks: int = 1
    peak_bytes: int | None = None
    """Peak of rank 0's GPU as measured when the rows were chosen; None where it was not."""

    def fits(self, run: Run) -> bool:
        """Return whether the choice of rows still answers what the recipe asks of this machine."""
        return (
            run.micro_batch_size in ("auto", self.micro_batch_rows)
            and run.memory_gib == self.memory_gib
            and run.gradient_checkpointing == self.gradient_checkpointing
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Data and settings of a run, fixed for its whole length."""

    train: Train
    run: Run
    layout: Layout
    kind: Kind
    split: PreparedItems
    validation: PreparedItems
    total_steps: int
    rows_per_step: int
    checkpoints: Path
    mixed: MixedOrder | None = None
    """The order of rows if languages or cards have shares."""


@dataclass(frozen=True, slots=True)
class Progress:
    """State at a step boundary. No RNG state: all that is random is drawn from (seed, step)."""

    step: int = 0
    """Finished optimizer steps."""
    validated_step: int = 0
    """Step of the last regular validation."""
    best_step: int | None = None
    best_bits: float | None = None
    """Mean over languages of the best validation, in bits per byte."""
    best_bits_per_byte: dict[str, float] | None = None
    validations_without_gain: int = 0
    tokens: int = 0
    """Tokens trained on, without padding."""
    supervised_tokens: int = 0
    seconds: float = 0.0
    """Time in training and validation, over all starts."""
    loss_first: float | None = None
    loss_last: float | None = None
    history: tuple[dict[str, Any], ...] = ()
    """One entry a validation: step, train_loss, and scores by language under VALIDATION."""
    loss_scale: float = 1.0
    steps_since_overflow: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able mapping; floats survive exactly."""
        return asdict(self) | {"history": list(self.history)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Progress:
        """Read what `to_json` wrote. Raises KeyError when a field is missing."""
        values = {f.name: stored[f.name] for f in fields(cls)}
        return cls(**values | {"history": tuple(values["history"])})


def after_validation(progress: Progress, bits_per_byte: dict[str, float]) -> Progress:
    """Return the state after a validation; `best_step` equals `step` when it was the best so far.

    Languages count alike, however little text one has: the mean is over languages.

    >>> first = after_validation(Progress(step=5), {"hau_Latn": 2.0, "yor_Latn": 1.0})
    >>> first.best_step, first.best_bits
    (5, 1.5)
    >>> second = after_validation(replace(first, step=10), {"hau_Latn": 2.5, "yor_Latn": 1.0})
    >>> second.best_step, second.validations_without_gain
    (5, 1)
    """
    entry = {
        "step": progress.step,
        "train_loss": progress.loss_last,
        VALIDATION: bits_per_byte,
    }
    progress = replace(progress, validated_step=progress.step, history=(*progress.history, entry))
    if not bits_per_byte:
        return progress
    mean = fmean(bits_per_byte.values())
    if progress.best_bits is not None and not mean < progress.best_bits:
        return replace(progress, validations_without_gain=progress.validations_without_gain + 1)
    return replace(
        progress,
        best_step=progress.step,
        best_bits=mean,
        best_bits_per_byte=bits_per_byte,
        validations_without_gain=0,
    )
