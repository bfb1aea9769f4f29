"""F1: overlap of the words of an answer with those of its reference, from 0 to 1.

As for SQuAD (Rajpurkar et al. 2016), but for any script: Unicode normalisation (NFC) and case
folding, punctuation and signs by their category; articles stay, since those that SQuAD takes
out are English. The score of a set is the mean over its items.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.evaluate.outputs import Generation
from finetune.spec.tables.metric import Metric
from finetune.statistics.bootstrap import ratio_of_sums


def statistics(outputs: Sequence[Generation]) -> NDArray[np.float64]:
    """Return the F1 of each item, and 1 for itself (N, 2)."""
    return np.array([(f1(one.text, one.reference), 1.0) for one in outputs], dtype=np.float64)


def f1(text: str, reference: str) -> float:
    """Return twice the shared words over the words of both; 1 if both have none.

    >>> f1("Birnin Kano.", "kano"), f1("", "kano"), f1("...", "")
    (0.6666666666666666, 0.0, 1.0)
    """
    own, wanted = words(text), words(reference)
    if not own and not wanted:
        return 1.0
    return 2 * (Counter(own) & Counter(wanted)).total() / (len(own) + len(wanted))


def words(text: str) -> list[str]:
    """Return the words that are compared: folded, without punctuation; letters keep their marks.

    >>> words("Ƙasar  «Nijar»!"), words("क्या? हाँ।")
    (['ƙasar', 'nijar'], ['क्या', 'हाँ'])
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return "".join(c for c in folded if unicodedata.category(c)[0] not in "PS").split()


METRIC = Metric(
    name="f1",
    label="F1 of words",
    about="is the overlap of the words of answers with those of references, case and punctuation "
    "aside",
    hub_id="f1",
    higher_is_better=True,
    decimals=3,
    minimum_effect=0.01,
    takes=Generation,
    statistics=statistics,
    value=ratio_of_sums,
    signature=lambda conditions: f"f1|norm:NFC,case,punctuation|{conditions}",
)
