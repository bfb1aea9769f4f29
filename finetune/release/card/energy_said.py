"""Energy and emissions on the model card: sentences, and the Hub's metadata."""

from __future__ import annotations

from math import floor, log10
from typing import Any

from finetune.artefacts.emissions import (
    STAGE_NAMES,
    Amount,
    Emissions,
    Energy,
    StageName,
    emissions_of,
    grid_rows,
)
from finetune.artefacts.job import Job
from finetune.artefacts.results import EvaluateResult, PrepareResult, TrainResult, read_result
from finetune.messages import Sentence, joined, sentence
from finetune.release.recorded import json_of


def emissions_of_job(job: Job) -> Emissions:
    """Return the energy that the stages recorded, on the recipe's grid or those of their sites."""
    runs: list[tuple[StageName, Energy | None]] = []
    for _, artifact in (*job.prepared, *job.plain):
        runs.append(("prepare", read_result(artifact, PrepareResult).energy))
    train = read_result(job.inputs["train"], TrainResult)
    runs += [("train", energy) for energy in (*train.energy_before, train.energy)]
    if "evaluate" in job.inputs:
        runs.append(("evaluate", read_result(job.inputs["evaluate"], EvaluateResult).energy))
    written = job.recipe.electricity
    return emissions_of(runs, grid=written.grid if written else None)


def energy_said(found: Emissions) -> Sentence:
    """Return what was used, how it was metered, and grams where a grid is named."""
    if found.kilowatt_hours is None:
        return sentence("Energy: not metered.")
    parts = [
        sentence(
            "Energy of {stages}: {amount} kWh ({methods}).",
            stages=[STAGE_NAMES[stage] for stage in found.metered],
            amount=_amount(found.kilowatt_hours),
            methods="; ".join(found.methods),
        ),
        _grams(found),
    ]
    if found.not_metered:
        parts.append(
            sentence(
                "Not metered: {stages}.", stages=[STAGE_NAMES[one] for one in found.not_metered]
            )
        )
    parts.append(
        sentence(
            "Cooling, the making of the machines and runs that were not used are not counted. "
            "Measured: this line differs from run to run."
        )
    )
    return joined(parts)


def _grams(found: Emissions) -> Sentence:
    if found.grams is None:
        rows = grid_rows(found)
        return sentence(
            "No figure of a grid is given, so no grams of CO2 are claimed; at {grids} g/kWh it "
            "would be {grams} g.",
            grids=[f"{row.gco2_per_kwh:g}" for row in rows],
            grams=[_amount(row.grams) for row in rows],
        )
    return sentence(
        "That is {grams} g of CO2 equivalent ({grids}).",
        grams=_amount(found.grams),
        grids=[
            sentence("{figure} g/kWh: {source}", figure=f"{one.gco2_per_kwh:g}", source=one.source)
            for one in found.grids
        ],
    )


def _amount(amount: Amount) -> Sentence:
    value = _figure(amount.value)
    if not amount.is_range:
        return value
    return sentence(
        "{value} (range {low} to {high})",
        value=value,
        low=_figure(amount.low),
        high=_figure(amount.high),
    )


def _figure(value: float) -> Sentence:
    """Return a number with two digits that count, in the writing of the reader's language.

    >>> [str(_figure(value)) for value in (1234.0, 12.3, 0.0034, 0.0)]
    ['1,200', '12', '0.0034', '0']
    """
    digits = 1 - floor(log10(value)) if value > 0 else 0
    return Sentence(f"{{value:,.{max(digits, 0)}f}}", (("value", round(value, digits)),))


def hub_emissions(job: Job, found: Emissions) -> dict[str, Any]:
    """Return `co2_eq_emissions` as the Hub documents it; empty without grams."""
    if found.grams is None:
        return {}
    methods = "; ".join(found.methods)
    grids = "; ".join(f"{one.gco2_per_kwh:g} g/kWh, {one.source}" for one in found.grids)
    stages = ", ".join(str(STAGE_NAMES[stage]) for stage in found.metered)
    places = {one.location for one in found.grids}
    facts: dict[str, Any] = {
        "emissions": float(f"{found.grams.value:.3g}"),
        "source": f"{stages}: {methods}; grid: {grids}",
        "training_type": "fine-tuning",
    }
    if len(places) == 1 and (place := places.pop()):
        facts["geographical_location"] = place
    return {"co2_eq_emissions": facts | {"hardware_used": _hardware(job)}}


def _hardware(job: Job) -> str:
    """Return how many of what trained, as far as it was recorded."""
    train = read_result(job.inputs["train"], TrainResult)
    method = train.energy.method if train.energy else ""
    if "GPU" in method:
        return f"{train.ranks} GPU{'s' if train.ranks > 1 else ''}"
    machine = json_of(job.inputs["train"], "manifest.json").get("environment", {}).get("machine")
    return f"CPU ({machine})" if machine else "CPU"
