"""Chart axes for HTML reports: positions of values, and round ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear axis from `low` to `high`."""

    low: float
    high: float

    @property
    def ticks(self) -> list[float]:
        """Return the tick values, at most nine."""
        return ticks(self.low, self.high)

    def at(self, value: float) -> float:
        """Return the position of a value, in percent of the axis.

        >>> Scale(1.0, 3.0).at(1.5)
        25.0
        """
        return 100 * (value - self.low) / (self.high - self.low)


def scale_around(values: Sequence[float]) -> Scale:
    """Return a scale that covers all values, with a margin on both sides."""
    low, high = min(values), max(values)
    wanted = (0.06 * (high - low), 0.05 * abs(high), 1.0)
    margin = next(margin for margin in wanted if margin > 1e-6)  # all values may be the same, or 0
    return Scale(low - margin, high + margin)


def ticks(low: float, high: float, *, about: int = 6) -> list[float]:
    """Return tick values from `low` to `high` in steps of 1, 2 or 5 times a power of ten.

    >>> ticks(1.13, 2.04)
    [1.2, 1.4, 1.6, 1.8, 2.0]
    """
    rough = max(high - low, 1e-9) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(step * i, 10) for i in range(first, last + 1)]
