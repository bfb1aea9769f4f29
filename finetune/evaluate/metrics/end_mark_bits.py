"""Bits of the end mark: bits that a model needs to stop where a held-out text ends.

Apart from bits per byte, because an adapter learns to stop within a few steps, which says nothing
of the language. Shown, and nothing is claimed from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.evaluate.outputs import Likelihood
from finetune.spec.tables.metric import Metric
from finetune.statistics.bootstrap import ratio_of_sums


def statistics(outputs: Sequence[Likelihood]) -> NDArray[np.float64]:
    """Return bits of the end marks of each text, and 1 for itself (N, 2)."""
    return np.array([(one.mark_nats / math.log(2), 1.0) for one in outputs], dtype=np.float64)


METRIC = Metric(
    name="end_mark_bits",
    label="bits of the end mark",
    about="measures how well a model knows where a text ends, per text",
    hub_id="end_mark_bits",
    higher_is_better=False,
    decimals=2,
    scale=(0, math.inf),
    unit="bits/end",
    title="Bits of the end mark, per text",
    is_judged=False,
    takes=Likelihood,
    statistics=statistics,
    value=ratio_of_sums,
)
