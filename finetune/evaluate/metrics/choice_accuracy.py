"""Choice accuracy: share of sources whose translation is chosen among four texts; chance is 0.25.

The texts are held-out targets of similar length. A text is chosen by the log-likelihood that the
source adds to it, so that a text that is likely anyway is not favoured. A tie is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.evaluate.outputs import SourceUse
from finetune.spec.tables.metric import Metric
from finetune.statistics.bootstrap import ratio_of_sums


def statistics(outputs: Sequence[SourceUse]) -> NDArray[np.float64]:
    """Return for each item whether its own target is chosen, and 1 for itself (N, 2)."""
    return np.array([(float(one.lead_nats > 0), 1.0) for one in outputs], dtype=np.float64)


METRIC = Metric(
    name="choice_accuracy",
    label="choice accuracy",
    about="is the share of sources whose translation a model chooses among four held-out texts of "
    "similar length",
    hub_id="accuracy",
    higher_is_better=True,
    decimals=2,
    title="Choice of the translation among four texts",
    is_judged=False,
    chance=0.25,
    takes=SourceUse,
    statistics=statistics,
    value=ratio_of_sums,
)
