"""Copy rate: share of the outputs that are their source again.

Letters, marks and digits are compared, case aside. Names and the like are the same in both
languages: the references' value belongs beside it.
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
    """Return for each item whether it is a copy, and 1 for itself (N, 2)."""
    copied = [is_copy(one.text, one.source or "") for one in outputs]
    return np.array([(float(is_same), 1.0) for is_same in copied], dtype=np.float64)


def is_copy(text: str, source: str) -> bool:
    """Return whether a text is its source, apart from case, punctuation and white space.

    >>> is_copy("good  MORNING!", "Good morning."), is_copy("", "...")
    (True, False)
    """
    bare = _compared(text)
    return bool(bare) and bare == _compared(source)


def has_sources(outputs: Sequence[Generation]) -> bool:
    """Return whether there is something to copy."""
    return all(one.source for one in outputs)


def _compared(text: str) -> str:
    folded = unicodedata.normalize("NFC", text.casefold())
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LMN")


METRIC = Metric(
    name="copy_rate",
    label="copy rate",
    about="is the share of outputs that are their source again",
    hub_id="copy_rate",
    higher_is_better=False,
    decimals=2,
    is_judged=False,
    table="outputs",
    takes=Generation,
    can_score=has_sources,
    statistics=statistics,
    value=ratio_of_sums,
)
