"""Sizes of languages and cards, and the exact allocation of packed sequences to them.

Rows of a prepared corpus belong to one (language, card) each, a `Subset`; subsets that have a share
together are a `Group`. UniMax (Chung et al. 2023, Algorithm 1) gives every language the same
amount, but none more than a number of epochs: a level up to which every language is filled. Here
the level is found at which the rows of the run are used up, because a run is a number of rows, and
rows of different languages do not hold equally many tokens or bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

from finetune.spec.sections.mixture import DataMixture

_DECIMAL = Context(prec=40)


@dataclass(frozen=True, slots=True)
class Subset:
    """Texts of one language and card in the training split."""

    language: str
    card: str
    rows: int
    tokens: int
    bytes: int
    """UTF-8 bytes of target text."""


@dataclass(frozen=True, slots=True)
class Group:
    """Cells that have one share together."""

    name: str
    """A language, or a card."""
    replay: bool
    subsets: tuple[Subset, ...]
    units: int
    """Its size in what is counted: tokens or bytes."""

    @property
    def rows(self) -> int:
        """Rows of one pass."""
        return sum(subset.rows for subset in self.subsets)

    @property
    def tokens(self) -> int:
        """Tokens of one pass."""
        return sum(subset.tokens for subset in self.subsets)

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"{self.name} (replay)" if self.replay else self.name


def allocate(
    mixture: DataMixture,
    groups: Sequence[Group],
    *,
    rows: int,
    replay: Fraction,
    room: Sequence[Fraction],
) -> list[Fraction]:
    """Return the units of each group in `rows` packed sequences; fewer if UniMax has no room left.

    `room`: units that each group may still give (used by `unimax` alone).
    """
    mains = [i for i, g in enumerate(groups) if not g.replay]
    others = [i for i, g in enumerate(groups) if g.replay]
    weights = dict(zip(mains, _weights(mixture, [groups[i] for i in mains]), strict=True))
    capped = mixture.method == "unimax"
    beside = replay / (1 - replay) if others else Fraction(0)
    size = sum((Fraction(groups[i].units) for i in others), Fraction(0))
    spare = sum((room[i] for i in others), Fraction(0))

    def main(level: Fraction) -> dict[int, Fraction]:
        each = {i: level * w for i, w in weights.items()}
        return {i: min(units, room[i]) for i, units in each.items()} if capped else each

    def both(level: Fraction) -> list[Fraction]:
        taken = main(level)
        wanted = beside * sum(taken.values(), Fraction(0))
        wanted = min(wanted, spare) if capped else wanted
        taken |= {i: wanted * groups[i].units / size for i in others}
        return [taken[i] for i in range(len(groups))]

    breaks = [room[i] / w for i, w in weights.items() if w] if capped else []
    if capped and beside:
        turn = level_of(lambda x: beside * sum(main(x).values(), Fraction(0)), breaks, spare)
        breaks += [] if turn is None else [turn]
    level = level_of(lambda x: rows_of(both(x), groups), breaks, Fraction(rows))
    return both(max(breaks, default=Fraction(0)) if level is None else level)


def level_of(
    curve: Callable[[Fraction], Fraction], breaks: Iterable[Fraction], target: Fraction
) -> Fraction | None:
    """Solve curve(x) = value for a monotone piecewise-linear curve from 0; None without a solution.

    >>> curve = lambda x: min(x, Fraction(2)) + min(x, Fraction(5))
    >>> level_of(curve, [Fraction(2), Fraction(5)], Fraction(6))
    Fraction(4, 1)
    """
    points = sorted(breaks)
    at = bisect_left(points, target, key=curve)
    low = points[at - 1] if at else Fraction(0)
    high = points[at] if at < len(points) else low + 1  # after the last break the line goes on
    rise = curve(high) - curve(low)
    if not rise:
        return low if curve(low) >= target else None
    return low + (target - curve(low)) / rise * (high - low)


def rows_of(units: Sequence[Fraction], groups: Sequence[Group]) -> Fraction:
    """Return the packed sequences for these units of each group."""
    return sum((u * g.rows / g.units for u, g in zip(units, groups, strict=True) if u), Fraction(0))


def _weights(mixture: DataMixture, groups: Sequence[Group]) -> list[Fraction]:
    if mixture.method == "unimax":
        return [Fraction(1) for _ in groups]
    if mixture.method == "proportional":
        return [Fraction(g.units) for g in groups]
    if mixture.method == "fixed":
        return [exact(mixture.weights.get(g.name, 0.0)) for g in groups]
    power = _DECIMAL.divide(Decimal(1), Decimal(repr(mixture.temperature)))
    return [Fraction(_DECIMAL.power(Decimal(g.units), power)) for g in groups]


def exact(number: float) -> Fraction:
    """Return the fraction that was written: 0.1 is a tenth."""
    return Fraction(repr(float(number)))
