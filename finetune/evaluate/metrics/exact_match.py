"""Exact match: share of generations that equal the reference, from 0 to 1.

Both are brought to Unicode NFC, runs of white space become one space, and white space at both ends
is cut. Everything else counts: case, punctuation, marks, joiners.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.evaluate.outputs import Generation
from finetune.spec.tables.metric import Metric
from finetune.statistics.bootstrap import ratio_of_sums


def statistics(outputs: Sequence[Generation]) -> NDArray[np.float64]:
    """Return for each item whether it is matched, and 1 for itself (N, 2)."""
    matched = [normalised(one.text) == normalised(one.reference) for one in outputs]
    return np.array([(float(is_same), 1.0) for is_same in matched], dtype=np.float64)


def normalised(text: str) -> str:
    """Return what is compared of a text.

    >>> normalised(" na\\u00a0gode\\n") == normalised("na gode"), normalised("A") == normalised("a")
    (True, False)
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


METRIC = Metric(
    name="exact_match",
    label="exact match",
    about="is the share of generations that are the reference, white space and Unicode "
    "normalisation (NFC) aside",
    hub_id="exact_match",
    higher_is_better=True,
    decimals=3,
    scale=(0, 1),
    minimum_effect=0.01,
    takes=Generation,
    statistics=statistics,
    value=ratio_of_sums,
    signature=lambda conditions: f"exact_match|norm:NFC,space|{conditions}",
)
