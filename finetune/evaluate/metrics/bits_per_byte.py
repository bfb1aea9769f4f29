"""Bits per byte: bits that a model needs per UTF-8 byte of held-out text; lower is better.

bits per byte = sum of token losses in nats / ln 2 / bytes that the tokens decode to. It does not
depend on the tokenizer, so models with different vocabularies can be compared (Gao et al. 2020,
The Pile). The end mark spells no byte and is not counted (finetune.evaluate.metrics.end_mark_bits).
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
    """Return bits and bytes of each text (N, 2)."""
    nats_N = np.array([one.nats for one in outputs], dtype=np.float64)
    bytes_N = np.array([one.size_bytes for one in outputs], dtype=np.float64)
    return np.stack([nats_N / math.log(2), bytes_N], axis=1)


METRIC = Metric(
    name="bits_per_byte",
    label="bits per byte",
    about="measures how well a model predicts held-out text, without the mark that ends it",
    hub_id="bits_per_byte",
    higher_is_better=False,
    decimals=3,
    scale=(0, math.inf),
    unit="bits/byte",
    denominator="bytes",
    title="Bits per byte of held-out text",
    percent_of_base=True,
    minimum_effect=1.0,
    takes=Likelihood,
    statistics=statistics,
    value=ratio_of_sums,
)
