"""Means of what judges gave to items, with intervals over items and judges.

Both are samples: items of what the model writes, judges of those who read it. Each is drawn with
replacement on its own, and a cell weighs the product of both counts (the pigeonhole bootstrap:
Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007), which is wider than a
bootstrap of items alone wherever judges differ.

Legend: J judges, N items, R resamples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finetune.statistics.bootstrap import MIN_ITEMS, Interval, interval_of

RESAMPLES = 2000


def judged_mean(values_JN: NDArray[np.float64], *, seed: int = 0) -> Interval:
    """Return the mean of the cells that are numbers, with its 95 % interval.

    A cell that is NaN was not judged. With fewer than 10 judged items the interval is not a number
    at both ends; of one judge only items are drawn. Raises ValueError if no cell is a number.

    >>> judged_mean(np.array([[1.0, np.nan], [0.0, 1.0]])).value.__round__(3)
    0.667
    """
    there_JN = ~np.isnan(values_JN)
    if not there_JN.any():
        raise ValueError("nothing was judged")
    filled_JN = np.where(there_JN, values_JN, 0.0)
    value = float(filled_JN.sum() / there_JN.sum())
    if there_JN.any(axis=0).sum() < MIN_ITEMS:
        return Interval(value, float("nan"), float("nan"))
    rng = np.random.Generator(np.random.Philox(seed))
    num_judges, num_items = values_JN.shape
    items_RN = rng.multinomial(num_items, np.full(num_items, 1 / num_items), size=RESAMPLES)
    judges_RJ = np.ones((RESAMPLES, num_judges), dtype=np.int64)
    if num_judges > 1:
        share = np.full(num_judges, 1 / num_judges)
        judges_RJ = rng.multinomial(num_judges, share, size=RESAMPLES)
    sums_R, weights_R = (
        np.einsum("rj,jn,rn->r", judges_RJ, cells_JN, items_RN)  # in one order on every machine
        for cells_JN in (filled_JN, there_JN.astype(np.float64))
    )
    drawn_R = weights_R > 0
    return interval_of(value, sums_R[drawn_R] / weights_R[drawn_R])
