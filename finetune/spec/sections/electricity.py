"""Section `electricity` of a recipe or a site: carbon intensity of the grid."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from finetune.spec.section import Section

GRID = "FINETUNE_GRID"
"""Environment of a batch job: the figure of its site, as JSON."""
MOST_GCO2_PER_KWH = 2000.0
"""Above any grid: electricity from coal alone is about half of it (IPCC 2014, AR5 WG III,
Annex III: 740 to 910 g/kWh)."""
_MAX_CHARACTERS = 2000

_Text = Annotated[str, StringConstraints(min_length=3, max_length=300, pattern=r"^[^\x00-\x1f]*$")]


@dataclass(frozen=True, slots=True)
class Grid:
    """Published carbon intensity of a grid."""

    gco2_per_kwh: float
    """Grams of CO2 equivalent."""
    source: str
    location: str | None = None


class Electricity(Section):
    """Carbon intensity of the grid, with the page that it is from."""

    grid_gco2_per_kwh: Annotated[float, Field(gt=0, le=MOST_GCO2_PER_KWH, allow_inf_nan=False)]
    """Grams of CO2 equivalent per kWh. No figure is built in: without one no grams are claimed."""
    source: _Text
    """Publisher and year of the figure; it stands on the model card."""
    location: _Text | None = None
    """Place of the machines, as far as it may be known: `Quebec, Canada`."""

    @property
    def grid(self) -> Grid:
        """The same, as results record it."""
        return Grid(self.grid_gco2_per_kwh, self.source, self.location)


def as_environment(electricity: Electricity | None) -> dict[str, str]:
    """Return the variable that tells a job of the grid of its site; none without a figure."""
    if electricity is None:
        return {}
    return {GRID: json.dumps(asdict(electricity.grid), ensure_ascii=False)}


def grid_of_job(environment: Mapping[str, str] = os.environ) -> Grid | None:
    """Return the grid of the site that this process runs on; None where it is not known.

    A variable that is no such figure counts as none: a training run does not end for it.

    >>> grid_of_job({GRID: '{"gco2_per_kwh": 56, "source": "a page", "location": null}'})
    Grid(gco2_per_kwh=56.0, source='a page', location=None)
    >>> grid_of_job({GRID: "56"}) is None
    True
    """
    said = environment.get(GRID, "")
    if not said or len(said) > _MAX_CHARACTERS:
        return None
    try:
        found: Grid = TypeAdapter(Grid).validate_json(said)
    except ValidationError:
        return None
    return found if 0 < found.gco2_per_kwh <= MOST_GCO2_PER_KWH else None
