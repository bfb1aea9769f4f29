"""Bits that the right source saves per byte of target text, beside that of another item."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.evaluate.outputs import SourceUse
from finetune.spec.tables.metric import Metric
from finetune.statistics.bootstrap import ratio_of_sums


def statistics(outputs: Sequence[SourceUse]) -> NDArray[np.float64]:
    """Return the bits that are saved and the bytes of each target (N, 2)."""
    saved = [((one.wrong_nats - one.right_nats) / math.log(2), one.size_bytes) for one in outputs]
    return np.array(saved, dtype=np.float64)


METRIC = Metric(
    name="source_bits",
    label="bits saved by the source",
    about="is how many bits per byte of a translation a model saves with the right source, beside "
    "the source of another text",
    hub_id="source_bits",
    higher_is_better=True,
    decimals=3,
    unit="bits/byte",
    denominator="bytes",
    title="Bits per byte that the right source saves",
    is_judged=False,
    takes=SourceUse,
    statistics=statistics,
    value=ratio_of_sums,
)
