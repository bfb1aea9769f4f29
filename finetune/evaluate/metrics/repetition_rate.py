"""Repetition rate: share of the character 4-grams of an output that stood in it before.

White space and case do not count, so that scripts without spaces are measured alike. Some words
repeat in any text, and reduplication is grammar: the references' value belongs beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.evaluate.outputs import Generation
from finetune.spec.tables.metric import Metric
from finetune.text.repetition import repeated_grams


def statistics(outputs: Sequence[Generation]) -> NDArray[np.float64]:
    """Return repeated and all 4-grams of each output (N, 2)."""
    return np.array([repeated_grams(one.text) for one in outputs], dtype=np.float64)


def value(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of repeated ones; 0 where there are none at all."""
    return sums[..., 0] / np.maximum(sums[..., 1], 1)


METRIC = Metric(
    name="repetition_rate",
    label="repetition rate",
    about="is the share of the character 4-grams of an output that stood in it before",
    hub_id="repetition_rate",
    higher_is_better=False,
    decimals=2,
    is_judged=False,
    table="outputs",
    takes=Generation,
    statistics=statistics,
    value=value,
)
