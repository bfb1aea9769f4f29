"""Energy of the stages behind an adapter, and its emissions on a grid.

Grams are kilowatt hours times the carbon intensity of a grid that recipe or site names with its
source; without that figure none are claimed. What was measured is one number, what was estimated
a range. Not counted: the cooling of a data centre, the making of the machines, and what ran outside
of the stages (downloads, and runs that were not used).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from finetune.artefacts.scores import SPARSE
from finetune.messages import Sentence, sentence
from finetune.spec.sections.electricity import Grid

REFERENCE_GRIDS = (30.0, 300.0, 700.0)
"""Grids of very little, of middle and of much carbon, in g/kWh: an illustration, of no country."""
Range = tuple[float, float]
StageName = Literal["prepare", "train", "evaluate"]
STAGE_NAMES: dict[StageName, Sentence] = {
    "prepare": sentence("preparation"),
    "train": sentence("training"),
    "evaluate": sentence("evaluation"),
}
"""Names of the stages, for people, in the order in which they run."""


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of a stage over all its processes and starts."""

    kilowatt_hours: float
    method: str
    low_kilowatt_hours: float | None = field(default=None, metadata=SPARSE)
    """Ends of the range where something was estimated; None: as measured."""
    high_kilowatt_hours: float | None = field(default=None, metadata=SPARSE)
    grid: Grid | None = field(default=None, metadata=SPARSE)
    """Of the site, where the job knew it."""

    @property
    def span(self) -> Range:
        """Kilowatt hours from least to most."""
        low, high = self.low_kilowatt_hours, self.high_kilowatt_hours
        most = self.kilowatt_hours
        return (most if low is None else low, most if high is None else high)


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity, with its range."""

    value: float
    low: float
    high: float

    @property
    def is_range(self) -> bool:
        """False for what was measured."""
        return self.low != self.high


@dataclass(frozen=True, slots=True)
class StageEnergy:
    """Energy of all runs of one kind of stage."""

    stage: StageName
    kilowatt_hours: Amount | None
    """None: not metered, or not all of it."""
    methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Emissions:
    """Energy by stage, and its emissions."""

    stages: tuple[StageEnergy, ...]
    kilowatt_hours: Amount | None
    """Of the metered stages; None if the training is none of them."""
    grams: Amount | None
    """Of CO2 equivalent; None without kilowatt hours or without the figure of a grid."""
    grids: tuple[Grid, ...] = ()
    """Each once; several where stages ran on different sites."""

    @property
    def metered(self) -> tuple[StageName, ...]:
        """Stages that are in the sum."""
        return tuple(one.stage for one in self.stages if one.kilowatt_hours is not None)

    @property
    def not_metered(self) -> tuple[StageName, ...]:
        """Stages that are not."""
        return tuple(one.stage for one in self.stages if one.kilowatt_hours is None)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods of metering, each once."""
        return tuple(dict.fromkeys(m for one in self.stages for m in one.methods))


@dataclass(frozen=True, slots=True)
class GridRow:
    """Grams of the same kilowatt hours on one grid."""

    gco2_per_kwh: float
    grams: Amount
    source: str | None = None
    """None: one of the reference grids."""


def emissions_of(
    runs: Iterable[tuple[StageName, Energy | None]], *, grid: Grid | None = None
) -> Emissions:
    """Return the emissions of runs of stages; `grid` is that of the recipe.

    It counts before what the job of a stage knew of its site. A stage of which one run was not
    metered is not in the sum: a part would look like the whole.

    >>> found = emissions_of([("train", Energy(2.0, "NVML"))], grid=Grid(56.0, "a page"))
    >>> found.grams, found.not_metered
    (Amount(value=112.0, low=112.0, high=112.0), ('prepare', 'evaluate'))
    """
    by_stage: dict[StageName, list[Energy | None]] = {}
    for stage, energy in runs:
        by_stage.setdefault(stage, []).append(energy)
    whole = {
        stage: [one for one in by_stage.get(stage, ()) if one is not None]
        if None not in by_stage.get(stage, (None,))
        else []
        for stage in STAGE_NAMES
    }
    stages = tuple(
        StageEnergy(stage, _sum(spent), tuple(dict.fromkeys(_methods(spent))))
        for stage, spent in whole.items()
    )
    counted = [one for spent in whole.values() for one in spent] if whole["train"] else []
    grids = [grid or one.grid for one in counted]
    known = [one for one in grids if one is not None]
    grams = None
    if counted and len(known) == len(counted):
        grams = _sum(counted, [one.gco2_per_kwh for one in known])
    return Emissions(stages, _sum(counted), grams, tuple(dict.fromkeys(known)))


def grid_rows(emissions: Emissions) -> list[GridRow]:
    """Return the same kilowatt hours on the reference grids, and on those that are named.

    Rising carbon; empty without kilowatt hours.
    """
    amount = emissions.kilowatt_hours
    if amount is None:
        return []
    named = [(one.gco2_per_kwh, one.source) for one in emissions.grids]
    grids: list[tuple[float, str | None]] = [*((g, None) for g in REFERENCE_GRIDS), *named]
    return [
        GridRow(
            figure,
            Amount(amount.value * figure, amount.low * figure, amount.high * figure),
            source,
        )
        for figure, source in sorted(grids, key=lambda pair: pair[0])
    ]


def added(several: Sequence[Energy]) -> Energy | None:
    """Return the energy of several runs as one; None without any.

    Without a grid unless all were on the same one.
    """
    if not several:
        return None
    amount = _sum(several)
    assert amount is not None  # noqa: S101, there is one
    grids = {one.grid for one in several}
    return Energy(
        amount.value,
        "; ".join(dict.fromkeys(_methods(several))),
        amount.low if amount.is_range else None,
        amount.high if amount.is_range else None,
        grid=grids.pop() if len(grids) == 1 else None,
    )


def _sum(several: Sequence[Energy], figures: Sequence[float] | None = None) -> Amount | None:
    if not several:
        return None
    times = figures if figures is not None else [1.0] * len(several)
    pairs = list(zip(several, times, strict=True))
    return Amount(
        sum(one.kilowatt_hours * figure for one, figure in pairs),
        sum(one.span[0] * figure for one, figure in pairs),
        sum(one.span[1] * figure for one, figure in pairs),
    )


def _methods(several: Sequence[Energy]) -> list[str]:
    return [method for one in several for method in one.method.split("; ")]
