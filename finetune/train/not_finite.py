"""The error for a step whose loss or gradients are not finite."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finetune.artefacts.prepared_items import PreparedItems, describe_rows
from finetune.errors import TrainError
from finetune.messages import problem


def not_finite(
    what: str, step: int, *, rows: NDArray[np.int64], split: PreparedItems
) -> TrainError:
    """Return the error; `step`: finished steps, `rows`: of the micro-batches in question."""
    return TrainError(
        problem(
            "not-finite",
            "step {step}: {what} is not finite, in {sequences}. No optimizer step was taken; "
            "the state after step {kept} is unchanged. Lower train.learning_rate, set "
            "train.precision: fp32, or inspect these documents",
            step=step + 1,
            what=what,
            sequences=describe_rows(split, rows),
            kept=step,
        )
    )
