"""chrF++ of what has to be translated: the same texts without placeholders, markup and numbers.

Placeholders, tags, addresses, product names and numbers are copied and not translated. A few items
full of them can carry the chrF++ of short texts, so that a gain in chrF++ is claimed only if it
holds here as well.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from finetune.evaluate.metrics import chrf
from finetune.evaluate.outputs import Generation
from finetune.spec.tables.metric import Metric
from finetune.text.borrowed import without_markup
from finetune.text.placeholders import without_placeholders


def statistics(outputs: Sequence[Generation]) -> NDArray[np.float64]:
    """Return the n-gram counts of each item (N, K)."""
    bare = [replace(one, text=words(one.text), reference=words(one.reference)) for one in outputs]
    return chrf.statistics(bare)


def words(text: str) -> str:
    """Return a text without placeholders, markup and what has no letter.

    >>> words("<b>Sannu</b> {name}, ka sami saƙonni %d: 12 (5 %)")
    'Sannu ka sami saƙonni'
    """
    bare = without_markup(without_placeholders(text))
    return " ".join(word for word in bare.split() if any(map(_is_letter, word)))


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] == "L"


METRIC = Metric(
    name="chrf++_plain",
    label="chrF++ without markup",
    about="is chrF++ of the same texts without placeholders, markup, addresses and numbers, which "
    "are copied",
    hub_id="chrf_plain",
    higher_is_better=True,
    decimals=1,
    scale=(0, 100),
    title="Translation quality without markup (chrF++)",
    minimum_effect=1.0,
    is_judged=False,
    takes=Generation,
    statistics=statistics,
    value=chrf.chrf_of_sums,
    signature=lambda conditions: (
        f"{chrf.signature(conditions)}|without:placeholders,markup,numbers"
    ),
)
