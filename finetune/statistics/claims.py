"""Rules of claims: level, number of items, adjustment for several claims (Holm 1979)."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVEL = 0.05
"""Probability of one or more false claims, if no adapter differs from what it is compared with."""
MIN_ITEMS_OF_A_CLAIM = 50


def binomial_test(successes: int, trials: int, *, chance: float) -> float:
    """Return the exact probability of as many successes, or more, by chance alone.

    >>> binomial_test(2, 2, chance=0.25), binomial_test(0, 7, chance=0.25)
    (0.0625, 1.0)
    """
    if successes <= 0:
        return 1.0
    logs = [
        math.log(math.comb(trials, k)) + k * math.log(chance) + (trials - k) * math.log1p(-chance)
        for k in range(successes, trials + 1)
    ]
    return min(1.0, math.fsum(map(math.exp, logs)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number (Holm 1979), in the same order.

    >>> [round(p, 3) for p in holm([0.04, 0.01, 0.03])]
    [0.06, 0.03, 0.06]
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=lambda number: p_values[number])
    for rank, number in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[number]))
        adjusted[number] = highest
    return adjusted
