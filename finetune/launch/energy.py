"""Energy of a stage: hardware counters where available, else an estimate.

Every process meters itself (its GPUs by NVML or AMD SMI; the first one on a node the processors, by
RAPL) and writes down what it used so far, every few seconds, into a file of its own in the folder
that is built. So nothing is lost by a kill, and a stage that was stopped and resumed counts whole,
repeated steps included. Where there is no counter the CPU time counts, at a stated number of watts
and with a range, and the method states that this is an estimate.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from finetune.output.durable import write_json
from finetune.spec.sections.electricity import Grid, grid_of_job

WATTS_A_BUSY_CORE = 10.0
"""A round figure between a core of a large server and one of a desktop; not measured here."""
ESTIMATE_RANGE = (0.5, 2.0)
"""Ends of an estimate for each unit of it; a guess."""
WRITE_SECONDS = 20.0  # far more often than a RAPL counter of 262 kJ wraps at any power
JOULES_A_KWH = 3.6e6
POWERCAP = Path("/sys/class/powercap")

RAPL_METHOD = "RAPL counters of processors and memory, whole node"
NVML_METHOD = "NVML counters of the GPUs"
AMD_METHOD = "AMD SMI counters of the GPUs"
ESTIMATE = f"estimate, not measured: CPU time at {WATTS_A_BUSY_CORE:g} W a busy core"
STAGE_FOLDER = "energy"
"""Folder in a workspace where the processes of a stage meter themselves."""

Counter = Callable[[], float]
"""Joules since a fixed instant; never falls."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that is metered."""

    uuid: str
    """In torch's spelling."""
    pci: str | None = None
    """Address on the bus, `0000:c1:00.0`; of an AMD card, which AMD SMI finds by it."""


class Metered(NamedTuple):
    """Energy over all processes and starts; fields as artefacts.emissions.Energy has them."""

    kilowatt_hours: float
    method: str
    low_kilowatt_hours: float | None
    high_kilowatt_hours: float | None
    grid: Grid | None


def carry(folder: Path, *, kilowatt_hours: float, method: str) -> None:
    """Start from the energy of the shorter training run that this one resumes."""
    write_json(folder / "energy-before.json", [{method: kilowatt_hours * JOULES_A_KWH}])


def recorded(folder: Path) -> Metered | None:
    """Return the energy over all processes and starts; None if nothing was metered."""
    joules: dict[str, float] = {}
    for path in sorted(folder.glob("energy-*.json")):
        for start in json.loads(path.read_text("utf-8")):
            for method, used in start.items():
                joules[method] = joules.get(method, 0.0) + used
    if not joules:
        return None
    methods = dict.fromkeys(method for several in joules for method in several.split("; "))
    total = sum(joules.values())
    guessed = sum(used for method, used in joules.items() if ESTIMATE in method)
    ends = ((total + (end - 1) * guessed) / JOULES_A_KWH for end in ESTIMATE_RANGE)
    low, high = ends if guessed else (None, None)
    return Metered(total / JOULES_A_KWH, "; ".join(methods), low, high, grid_of_job())


@contextmanager
def metered_stage(workspace: Path, *, leads: bool, gpus: Sequence[Gpu] = ()) -> Iterator[None]:
    """Meter a stage that one process leads and in which others may take part.

    Only the leader makes the folder that they write into, and takes it away with `of_stage`.
    """
    folder = workspace / STAGE_FOLDER
    if leads:
        folder.mkdir(exist_ok=True)
    with metered(folder, rank=uuid.uuid4().hex[:12], gpus=gpus):
        yield


def of_stage(workspace: Path) -> Metered | None:
    """Return what `metered_stage` recorded, and remove its files."""
    folder = workspace / STAGE_FOLDER
    found = recorded(folder)
    doomed = folder.with_name(f"{STAGE_FOLDER}.{uuid.uuid4().hex[:12]}.removed")
    with suppress(FileNotFoundError):
        folder.rename(doomed)  # first: what others still write does not come back
        shutil.rmtree(doomed)
    return found


def forget(folder: Path) -> None:
    """Remove the files of `metered`, once what they say stands in the result."""
    for path in folder.glob("energy-*.json*"):  # and what a kill left of one half-written
        path.unlink()


def rapl_counters(root: Path | None = None) -> list[Counter]:
    """Return a counter of every processor package and memory controller that may be read.

    Cores are inside of packages, and `psys` is around all of them: neither is counted again.
    All or none: where one cannot be read (most kernels let only root) there is no counter.
    """
    counters = []
    for zone in sorted((root or POWERCAP).glob("intel-rapl:*")):
        try:
            name = (zone / "name").read_text().strip()
            if not (name.startswith("package") or name == "dram"):
                continue
            int((zone / "energy_uj").read_text())
        except (OSError, ValueError):
            return []
        counters.append(_rapl_counter(zone))
    return counters


def _rapl_counter(zone: Path) -> Counter:
    """Return a counter in joules of one that counts microjoules and wraps."""
    wraps_at = int((zone / "max_energy_range_uj").read_text())
    last = int((zone / "energy_uj").read_text())
    total = 0

    def read() -> float:
        nonlocal last, total
        now = int((zone / "energy_uj").read_text())
        total += now - last if now >= last else now - last + wraps_at
        last = now
        return total / 1e6

    return read


def nvml_name(gpu_uuid: str) -> str:
    """Return the UUID of a GPU as NVML spells it.

    >>> nvml_name("abc"), nvml_name("MIG-abc")
    ('GPU-abc', 'MIG-abc')
    """
    return gpu_uuid if gpu_uuid.startswith(("GPU-", "MIG-")) else f"GPU-{gpu_uuid}"


def nvml_counter(gpu_uuid: str) -> Counter | None:
    """Return the counter of a GPU, or None where the driver has none (before Volta, or no driver).

    Not run by the authors on a GPU: none was at hand.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(nvml_name(gpu_uuid))
        millijoules = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:
        return None

    def read() -> float:
        nonlocal millijoules
        with suppress(pynvml.NVMLError):  # a reading that fails later must not end the training
            millijoules = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        return float(millijoules) / 1e3

    return read


def amd_counter(pci: str) -> Counter | None:
    """Return the counter of an AMD GPU, or None without its library or where it has no counter.

    The library comes with the driver and is no dependency. In a virtual machine AMD SMI has no
    counter. Never run against a real AMD card.
    """
    try:
        import amdsmi
    except (ImportError, OSError, KeyError):  # as it fails where its shared library is missing
        return None
    refused: type[Exception] = amdsmi.AmdSmiException
    try:
        amdsmi.amdsmi_init()
        handle = amdsmi.amdsmi_get_processor_handle_from_bdf(pci)
        joules = _amd_joules(amdsmi, handle)
    except (refused, KeyError):
        return None

    def read() -> float:
        nonlocal joules
        with suppress(refused, KeyError):
            joules = _amd_joules(amdsmi, handle)
        return joules

    return read


def _amd_joules(amdsmi: Any, handle: Any) -> float:
    """Return the accumulated energy: a count, times its resolution in microjoules."""
    found = amdsmi.amdsmi_get_energy_count(handle)
    count = found["energy_accumulator"] if "energy_accumulator" in found else found["power"]
    return float(count) * float(found["counter_resolution"]) / 1e6


def gpu_counter(gpu: Gpu) -> Counter | None:
    """Return the counter of a GPU, or None where it has none."""
    return nvml_counter(gpu.uuid) if gpu.pci is None else amd_counter(gpu.pci)


@contextmanager
def metered(
    folder: Path,
    *,
    rank: int | str = 0,
    first_on_node: bool = True,
    gpus: Sequence[Gpu] = (),
    counter_of: Callable[[Gpu], Counter | None] = gpu_counter,
    package_counters: Callable[[], list[Counter]] = rapl_counters,
) -> Iterator[None]:
    """Add what this process uses inside the block to `energy-RANK.json` in a folder.

    If the energy of one of its GPUs cannot be read nothing is written: the energy of the rest would
    be a small part that looks like the whole.
    """
    by_gpu = {gpu: counter for gpu in gpus if (counter := counter_of(gpu)) is not None}
    if len(by_gpu) < len(gpus):
        yield
        return
    counters = _counters(by_gpu, package_counters(), first_on_node=first_on_node)
    path = folder / f"energy-{rank}.json"
    earlier = json.loads(path.read_text("utf-8")) if path.is_file() else []
    begun = {method: counter() for method, counter in counters.items()}

    def write() -> None:
        used = {method: counter() - begun[method] for method, counter in counters.items()}
        write_json(path, [*earlier, used])

    done = threading.Event()
    writer = threading.Thread(target=_write_now_and_then, args=(write, done), daemon=True)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()
        with suppress(FileNotFoundError):  # the folder may be taken away meanwhile
            if folder.is_dir():
                write()


def _counters(
    by_gpu: dict[Gpu, Counter], packages: list[Counter], *, first_on_node: bool
) -> dict[str, Counter]:
    """Return the counters of this process by method."""
    found: dict[str, Counter] = {}
    nvidia = [counter for gpu, counter in by_gpu.items() if gpu.pci is None]
    amd = [counter for gpu, counter in by_gpu.items() if gpu.pci is not None]
    if nvidia:
        found[NVML_METHOD] = _together(nvidia)
    if amd:
        found[AMD_METHOD] = _together(amd)
    if not packages:
        found[ESTIMATE] = lambda: time.process_time() * WATTS_A_BUSY_CORE
    elif first_on_node:
        found[RAPL_METHOD] = _together(packages)
    return found


def _together(counters: Sequence[Counter]) -> Counter:
    return lambda: sum(counter() for counter in counters)


def _write_now_and_then(write: Callable[[], None], done: threading.Event) -> None:
    while not done.wait(WRITE_SECONDS):
        with suppress(OSError):  # on a full disk: the last write reports it, in the main thread
            write()
