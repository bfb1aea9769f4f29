"""The minimum effects of an evaluation, as they stand in reports and model cards."""

from __future__ import annotations

from collections.abc import Sequence

from finetune.artefacts.scores import PairedTest
from finetune.spec.tables.metric import metric


def minimum_effects(tests: Sequence[PairedTest]) -> str:
    """Return the minimum effect of each metric, as the tests recorded it.

    >>> test = PairedTest("bits_per_byte", "hau_Latn", None, 2.0, 1.5, -0.5, -0.6, -0.4, 0.002, 90,
    ...                   "adapter", "exchange test", minimum_effect=0.04)
    >>> minimum_effects([test])
    '2 % of the bits per byte of the base or yardstick'
    """
    said = {}
    for test in tests:
        row = metric(test.metric)
        if not row.is_judged:
            continue
        if row.percent_of_base and test.base:
            percent = round(100 * test.minimum_effect / test.base, 6)
            said[test.metric] = f"{percent:g} % of the {row.label} of the base or yardstick"
        else:
            said[test.metric] = f"{test.minimum_effect:g} {row.label}"
    return ", ".join(said.values())
