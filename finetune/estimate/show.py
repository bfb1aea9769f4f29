"""An estimate for people and for machines."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from finetune.estimate import cost
from finetune.estimate.resources import Candidate, Estimate
from finetune.output.console import Console
from finetune.sizing.memory import Memory
from finetune.sizing.policy import GIB

ERROR = (
    "memory on a CPU was within 10 % of measured peaks (benchmarks/README.md); on a GPU it was "
    "compared with none"
)


def show(found: Estimate, *, console: Console, watts: float | None, pue: float) -> None:
    """Show an estimate; `watts` (of one device) and `pue` are what its energy was counted with."""
    _show_target(found, console)
    _show_candidates(found, console)
    _show_memory(found, console)
    _show_length(found, console)
    _show_cost(found, console, watts=watts, pue=pue)
    for note in found.notes:
        console.say(f"note: {note}")
    console.say(f"all of this is an estimate: {ERROR}")


def as_json(found: Estimate, *, pue: float) -> dict[str, Any]:
    """Return an estimate for machines: bytes, hours, kWh; ranges as [favourable, other end]."""
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
        "trainings": [asdict(each) for each in found.lengths],
        "cost": asdict(found.cost),
        "assumptions": {
            "gpu_utilisation": cost.GPU_UTILISATION,
            "cpu_gflops_per_core": cost.CPU_GFLOPS_PER_CORE,
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
    kind = (
        f"GPU(s) {target.gpu or ''}".rstrip()
        if target.device == "gpu"
        else f"process(es) on {target.cores} CPU core(s)"
    )
    console.say(
        f"{found.shape.model_type}: {found.base_parameters:,} parameters, frozen, and an adapter "
        f"of {adapter:,} ({100 * adapter / found.base_parameters:.2g} %), in {found.precision}"
    )
    console.say(f"{target.nodes} node(s) x {target.devices_per_node} {kind}{memory}")


def _show_candidates(found: Estimate, console: Console) -> None:
    cheapest = found.cheapest
    last = len(found.candidates) if cheapest is None else found.candidates.index(cheapest) + 1
    rows = [
        (
            candidate.setting.text + (" (the recipe)" if candidate == found.recipe else ""),
            candidate.rows,
            f"{candidate.memory.total / GIB:.2f}",
            {True: "fits", False: candidate.why, None: "not known"}[candidate.fits],
        )
        for number, candidate in enumerate(found.candidates)
        if number < last or candidate == found.recipe or console.verbose
    ]
    device = "GPU" if found.target.device == "gpu" else "process"
    console.table("", ("setting", "rows at once", f"GiB per {device}", "verdict"), rows)
    if found.recipe.fits:
        console.say("the recipe's setting fits")
    if cheapest is not None and cheapest != found.recipe:
        keys = " ".join(f"--set {k}={v}" for k, v in cheapest.setting.keys.items())
        other = cheapest.setting.quantization != found.recipe.setting.quantization
        console.say(
            f"the cheapest setting that fits: {keys}"
            + (" (quantization changes the adapter; the other keys do not)" if other else "")
        )
    elif found.recipe.fits is False:
        console.say("nothing that was tried fits: take more or larger GPUs, or a shorter row")


def _show_memory(found: Estimate, console: Console) -> None:
    candidate = _chosen(found)
    rows = [
        (name, f"{size / GIB:.2f}")
        for name, size in ((f.name, getattr(candidate.memory, f.name)) for f in fields(Memory))
        if size >= GIB / 200
    ]
    console.say(f"memory with {candidate.setting.text}, {candidate.rows} row(s) at once:")
    console.table("", ("part", "GiB"), rows)


def _show_length(found: Estimate, console: Console) -> None:
    for each in found.lengths:
        epochs = "" if each.epochs is None else f", {each.epochs:.3g} times over the corpus"
        word = "counted on" if each.exact else "estimated from"
        console.say(
            f"{each.phase}: {each.steps} steps of {each.rows_per_step} rows, {each.tokens:,} "
            f"tokens{epochs} ({word} {each.source})"
        )


def _show_cost(found: Estimate, console: Console, *, watts: float | None, pue: float) -> None:
    price, target = found.cost, found.target
    console.say(f"arithmetic: {price.flops:.3g} floating-point operations")
    if price.hours is None or price.device_hours is None or price.tokens_per_second is None:
        return
    if target.device == "gpu":
        low, high = cost.GPU_UTILISATION
        basis = f"{100 * high:.0f} to {100 * low:.0f} % of the peak"
    else:
        low, high = cost.CPU_GFLOPS_PER_CORE
        basis = f"{high:.0f} to {low:.0f} GFLOP/s a core"
    console.say(
        f"training: {_duration(price.hours)}, {_range(price.tokens_per_second[::-1])} tokens/s "
        f"({basis}); {_range(price.device_hours)} "
        f"{'GPU' if target.device == 'gpu' else 'process'} hours. Validation, evaluation and "
        "waiting in queues are not counted"
    )
    if price.kwh is None:
        console.say("energy: not known without the power of a device: --watts")
        return
    carbon = "" if price.co2_kg is None else f", {_range(price.co2_kg)} kg CO2e"
    low, high = cost.POWER_OF_NODE
    basis = f"{watts:g} W" if watts else f"{low:g} to {high:g} times its GPUs' watts"
    console.say(f"energy: {_range(price.kwh)} kWh{carbon} (a node draws {basis}; PUE {pue})")


def _chosen(found: Estimate) -> Candidate:
    """The recipe's setting, or the one that fits in its place."""
    return found.recipe if found.recipe.fits is not False else found.cheapest or found.recipe


def _range(ends: tuple[float, ...]) -> str:
    low, high = (f"{end:.2g}" if end < 100 else f"{float(f'{end:.2g}'):,.0f}" for end in ends)
    return low if low == high else f"{low} to {high}"


def _duration(hours: tuple[float, ...]) -> str:
    """Return a range of hours in the unit that reads well."""
    if hours[1] >= 1.5:
        return f"{_range(hours)} hours"
    minutes = tuple(60 * end for end in hours)
    if minutes[1] >= 1.5:
        return f"{_range(minutes)} minutes"
    return f"{_range(tuple(60 * end for end in minutes))} seconds"
