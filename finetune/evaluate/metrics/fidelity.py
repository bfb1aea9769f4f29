"""Language fidelity: share of outputs in the language, divided by that of the references.

A language-identification model is wrong on short texts, more often in some languages than in
others. It is wrong on references too, so that the quotient is about 1 for a system that writes the
language, however weak the model. Repeated words of the language are still in the language
(finetune.evaluate.metrics.repetition_rate).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.evaluate.outputs import Generation
from finetune.spec.tables.metric import Metric


def statistics(outputs: Sequence[Generation]) -> NDArray[np.float64]:
    """Return for each item whether output and reference are in the language (N, 2)."""
    both = [(one.found == one.language, one.reference_found == one.language) for one in outputs]
    return np.array(both, dtype=np.float64)


def is_identified(outputs: Sequence[Generation]) -> bool:
    """Return whether the languages of outputs and references are known."""
    return all(one.found and one.reference_found for one in outputs)


def value(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return outputs over references; 0 where no reference is in the language."""
    references = sums[..., 1]
    return sums[..., 0] / np.where(references > 0, references, np.inf)


METRIC = Metric(
    name="fidelity",
    label="language fidelity",
    about="is the share of outputs that are identified as the language, divided by that of the "
    "references",
    hub_id="language_fidelity",
    higher_is_better=True,
    decimals=2,
    is_judged=False,
    table="outputs",
    takes=Generation,
    can_score=is_identified,
    statistics=statistics,
    value=value,
)
