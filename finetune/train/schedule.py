"""Learning-rate schedule: a pure function of the step."""

from __future__ import annotations

import math
from typing import Literal


def learning_rate_factor(
    step: int,
    *,
    schedule: Literal["cosine", "linear", "constant"],
    warmup_steps: int,
    total_steps: int,
) -> float:
    """Return the share of the peak learning rate at `step` (counted from 0), in [0, 1].

    The rise reaches the peak with its last step (no step has rate 0); the fall would reach 0 one
    step after the last.

    >>> shape = dict(warmup_steps=2, total_steps=6)
    >>> [learning_rate_factor(s, schedule="linear", **shape) for s in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    >>> [learning_rate_factor(s, schedule="constant", **shape) for s in (0, 5)]
    [0.5, 1.0]
    >>> round(learning_rate_factor(4, schedule="cosine", **shape), 6)
    0.5
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "constant":
        return 1.0
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 1.0 - done if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
