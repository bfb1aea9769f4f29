"""Accuracy of public tasks: mean of what the task's own metric gives for each item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.evaluate.outputs import Answer
from finetune.spec.tables.metric import Metric
from finetune.statistics.bootstrap import ratio_of_sums


def statistics(outputs: Sequence[Answer]) -> NDArray[np.float64]:
    """Return the value of each answer, and 1 for itself (N, 2)."""
    return np.array([(one.value, 1.0) for one in outputs], dtype=np.float64)


METRIC = Metric(
    name="task_accuracy",
    label="task accuracy",
    about="is the share of questions answered rightly, as the task itself counts them",
    hub_id="task_accuracy",
    higher_is_better=True,
    decimals=3,
    minimum_effect=0.01,
    takes=Answer,
    statistics=statistics,
    value=ratio_of_sums,
)
