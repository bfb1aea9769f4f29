"""Mean KL divergence of an adapter from its base, per token; 0 for the base itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.evaluate.outputs import Divergence
from finetune.spec.tables.metric import Metric
from finetune.statistics.bootstrap import ratio_of_sums


def statistics(outputs: Sequence[Divergence]) -> NDArray[np.float64]:
    """Return divergence and number of distributions of each prompt (N, 2)."""
    return np.array([(one.nats, one.tokens) for one in outputs], dtype=np.float64)


METRIC = Metric(
    name="kl_per_token",
    label="KL divergence from the base",
    about="measures how far the answers to everyday prompts in English and French have moved from "
    "those of the base, in nats per token",
    hub_id="kl_divergence",
    higher_is_better=False,
    decimals=3,
    unit="nats/token",
    title="KL divergence from the base, nats per token",
    is_judged=False,
    takes=Divergence,
    statistics=statistics,
    value=ratio_of_sums,
)
