"""Estimates as terminal output and as JSON."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from finetune.estimate import cost
from finetune.estimate.resources import Candidate, Estimate
from finetune.messages import sentence
from finetune.output.console import Console
from finetune.sizing.memory import MEMORY_LABELS, Memory
from finetune.sizing.policy import GIB

ERROR = (
    "on a CPU, memory was within 10 % of measured peaks (benchmarks/README.md); on a GPU it was "
    "not compared with measurements"
)


def show(found: Estimate, *, console: Console, watts: float | None, pue: float) -> None:
    """Show an estimate; its energy was computed with `watts` (per device) and `pue`."""
    _show_target(found, console)
    _show_candidates(found, console)
    _show_memory(found, console)
    _show_length(found, console)
    _show_cost(found, console, watts=watts, pue=pue)
    for note in found.notes:
        console.say(f"note: {note}")
    console.say(f"these numbers are estimates: {ERROR}")


def as_json(found: Estimate, *, pue: float) -> dict[str, Any]:
    """Return an estimate as JSON: bytes, hours, kWh; ranges as [best case, worst case]."""
    cheapest = found.cheapest
    return {
        "model_type": found.shape.model_type,
        "counted_exactly": found.shape.exact,
        "parameters": {"base": found.base_parameters, "adapter": found.adapter_parameters},
        "target": asdict(found.target) | {"ranks": found.target.ranks},
        "precision": found.precision,
        "recipe": _candidate_json(found.recipe),
        "cheapest": None if cheapest is None else _candidate_json(cheapest),
        "settings": [_candidate_json(candidate) for candidate in found.candidates],
        "training_runs": [each.as_json() for each in found.lengths],
        "cost": asdict(found.cost),
        "assumptions": {
            "gpu_utilisation": found.utilisation,
            "cpu_gflops_per_core": cost.CPU_GFLOPS_PER_CORE,
            "least_seconds_per_micro_batch": cost.MICRO_BATCH_SECONDS,
            "start_seconds": cost.START_SECONDS,
            "node_watts_per_gpu_watt": cost.POWER_OF_NODE,
            "pue": pue,
        },
        "notes": list(found.notes),
        "error": ERROR,
    }


def _candidate_json(candidate: Candidate) -> dict[str, Any]:
    return {
        "setting": asdict(candidate.setting),
        "micro_batch_rows": candidate.rows,
        "memory_bytes": asdict(candidate.memory) | {"total": candidate.memory.total},
        "fits": candidate.fits,
        "why": candidate.why,
    }


def _show_target(found: Estimate, console: Console) -> None:
    target, adapter = found.target, sum(found.adapter_parameters.values())
    memory = "" if target.memory_gib is None else f", {target.memory_gib:.4g} GiB each"
    nodes = "1 node" if target.nodes == 1 else f"{target.nodes:,} nodes"
    several = "" if target.devices_per_node == 1 else "s"
    kind = (
        f"GPU{several} {target.gpu or ''}".rstrip()
        if target.device == "gpu"
        else f"rank{several} on {target.cores} CPU core{'' if target.cores == 1 else 's'}"
    )
    console.say(
        f"{found.shape.model_type}: {found.base_parameters:,} frozen parameters, {adapter:,} "
        f"trainable ({100 * adapter / found.base_parameters:.2g} %), {found.precision}"
    )
    console.say(f"{nodes} x {target.devices_per_node} {kind}{memory}")


def _show_candidates(found: Estimate, console: Console) -> None:
    cheapest = found.cheapest
    last = len(found.candidates) if cheapest is None else found.candidates.index(cheapest) + 1
    rows = [
        (
            candidate.setting.text + (" (recipe)" if candidate == found.recipe else ""),
            candidate.rows,
            f"{candidate.memory.total / GIB:.2f}",
            {True: "fits", False: candidate.why, None: "unknown"}[candidate.fits],
        )
        for number, candidate in enumerate(found.candidates)
        if number < last or candidate == found.recipe or console.verbose
    ]
    device = "GPU" if found.target.device == "gpu" else "rank"
    console.table("", ("setting", "micro-batch", f"GiB per {device}", "verdict"), rows)
    if found.recipe.fits:
        console.say("the recipe's settings fit in memory")
    if cheapest is not None and cheapest != found.recipe:
        keys = " ".join(f"--set {k}={v}" for k, v in cheapest.setting.keys.items())
        other = cheapest.setting.quantization != found.recipe.setting.quantization
        console.say(
            f"cheapest settings that fit: {keys}"
            + (" (quantization changes the adapter; the other keys do not)" if other else "")
        )
    elif found.recipe.fits is False:
        console.say("nothing fits: use more or larger GPUs, or a smaller prepare.sequence_tokens")


def _show_memory(found: Estimate, console: Console) -> None:
    candidate = _chosen(found)
    rows = [
        (MEMORY_LABELS[name], f"{size / GIB:.2f}")
        for name, size in ((f.name, getattr(candidate.memory, f.name)) for f in fields(Memory))
        if size >= GIB / 200
    ]
    console.say(f"memory ({candidate.setting.text}; micro-batch {candidate.rows}):")
    console.table("", ("component", "GiB"), rows)


def _show_length(found: Estimate, console: Console) -> None:
    for each in found.lengths:
        epochs = "" if each.epochs is None else f", {each.epochs:.3g} epochs"
        word = "counted on" if each.exact else "estimated from"
        console.say(
            f"{each.phase}: {each.steps:,} steps of {each.rows_per_step:,} packed sequences, "
            f"{each.tokens:,} tokens{epochs} ({word} {each.source})"
        )
        if each.warning is not None:
            console.say(sentence("warning: {what}", what=each.warning))


def _show_cost(found: Estimate, console: Console, *, watts: float | None, pue: float) -> None:
    price, target = found.cost, found.target
    console.say(f"compute: {price.flops:.3g} FLOPs")
    if price.hours is None or price.device_hours is None or price.tokens_per_second is None:
        return
    if target.device == "gpu":
        high, low = found.utilisation
        basis = f"{_range((100 * low, 100 * high))} % of peak"
    else:
        low, high = cost.CPU_GFLOPS_PER_CORE
        basis = f"{high:.0f} to {low:.0f} GFLOP/s per core"
    console.say(
        f"training: {_duration(price.hours)}, {_range(price.tokens_per_second[::-1])} tokens/s "
        f"({basis}); {_range(price.device_hours)} "
        f"{'GPU' if target.device == 'gpu' else 'rank'}-hours. It includes "
        f"{_range(cost.START_SECONDS)} s to start, and at least {_range(cost.MICRO_BATCH_SECONDS)} "
        "s per micro-batch; validation, evaluation and queueing are not included"
    )
    if price.kwh is None:
        console.say("energy: not estimated; give the device power with --watts")
        return
    low, high = cost.POWER_OF_NODE
    basis = f"{watts:g} W" if watts else f"{low:g} to {high:g} times the watts of its GPUs"
    console.say(f"energy: {_range(price.kwh)} kWh ({basis} per node; PUE {pue})")
    named = next((one for one in price.grids if one.source is not None), None)
    if named is None:
        console.say(
            sentence(
                "CO2 equivalent: no figure for your grid (`electricity` in recipe or site, or "
                "--grid-gco2-per-kwh); as an illustration:"
            )
        )
    else:
        console.say(
            sentence(
                "CO2 equivalent: {kilograms} kg at {figure} g/kWh ({source}); on other grids:",
                kilograms=_range(named.co2_kg),
                figure=f"{named.gco2_per_kwh:g}",
                source=named.source,
            )
        )
    rows = [(f"{one.gco2_per_kwh:g}", _range(one.co2_kg)) for one in price.grids if not one.source]
    console.table("", ("g/kWh", "kg CO2e"), rows)


def _chosen(found: Estimate) -> Candidate:
    """Return the setting of the recipe, or the cheapest that fits."""
    return found.recipe if found.recipe.fits is not False else found.cheapest or found.recipe


def _range(ends: tuple[float, ...]) -> str:
    low, high = (f"{end:.2g}" if end < 100 else f"{float(f'{end:.2g}'):,.0f}" for end in ends)
    return low if low == high else f"{low} to {high}"


def _duration(hours: tuple[float, ...]) -> str:
    """Return a range of hours in a suitable unit."""
    if hours[1] >= 1.5:
        return f"{_range(hours)} h"
    minutes = tuple(60 * end for end in hours)
    if minutes[1] >= 1.5:
        return f"{_range(minutes)} min"
    return f"{_range(tuple(60 * end for end in minutes))} s"
