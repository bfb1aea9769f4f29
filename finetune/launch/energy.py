"""Energy of a training run: hardware counters where available, else an estimate.

Every rank meters itself (its GPU by NVML; the first one on a node the processors, by RAPL) and
writes down what it used so far, every few seconds, into a file of its own in the folder of the
training. So nothing is lost by a kill, and a run that was stopped and resumed counts whole,
repeated steps included. Where there is no counter the CPU time counts, at a
stated number of watts, and the method states that this is an estimate.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from finetune.output.durable import write_json

WATTS_A_BUSY_CORE = 10.0
"""A round figure between a core of a large server and one of a desktop; not measured here."""
WRITE_SECONDS = 20.0  # far more often than a RAPL counter of 262 kJ wraps at any power
JOULES_A_KWH = 3.6e6
POWERCAP = Path("/sys/class/powercap")

RAPL_METHOD = "RAPL counters of processors and memory, whole node"
NVML_METHOD = "NVML counters of the GPUs"
ESTIMATE = f"estimate, not measured: CPU time at {WATTS_A_BUSY_CORE:g} W a busy core"

Counter = Callable[[], float]
"""Joules since a fixed instant; never falls."""


def carry(folder: Path, *, kilowatt_hours: float, method: str) -> None:
    """Start from the energy of the shorter training run that this one resumes."""
    write_json(folder / "energy-before.json", [{method: kilowatt_hours * JOULES_A_KWH}])


def recorded(folder: Path) -> tuple[float, str] | None:
    """Return kilowatt hours and method over all ranks and starts; None if nothing was metered."""
    joules: dict[str, float] = {}
    for path in sorted(folder.glob("energy-*.json")):
        for start in json.loads(path.read_text("utf-8")):
            for method, used in start.items():
                joules[method] = joules.get(method, 0.0) + used
    if not joules:
        return None
    methods = dict.fromkeys(method for several in joules for method in several.split("; "))
    return sum(joules.values()) / JOULES_A_KWH, "; ".join(methods)


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


def nvml_counter(gpu_uuid: str) -> Counter | None:
    """Return the counter of a GPU, or None where the driver has none (before Volta, or no driver).

    Not run by the authors on a GPU: none was at hand.
    """
    import pynvml

    name = gpu_uuid if gpu_uuid.startswith(("GPU-", "MIG-")) else f"GPU-{gpu_uuid}"
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(name)
        millijoules = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:
        return None

    def read() -> float:
        nonlocal millijoules
        with suppress(pynvml.NVMLError):  # a reading that fails later must not end the training
            millijoules = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        return float(millijoules) / 1e3

    return read


@contextmanager
def metered(
    folder: Path,
    *,
    rank: int = 0,
    first_on_node: bool = True,
    gpu_uuid: str | None = None,
    gpu_counter: Callable[[str], Counter | None] = nvml_counter,
    package_counters: Callable[[], list[Counter]] = rapl_counters,
) -> Iterator[None]:
    """Add what this rank uses inside the block to `energy-RANK.json` in a folder.

    `gpu_uuid` names the GPU that the rank trains on (torch's spelling). If its energy cannot be
    read nothing is written: the energy of the rest would be a small part that looks like the whole.
    """
    gpu = None if gpu_uuid is None else gpu_counter(gpu_uuid)
    if gpu_uuid is not None and gpu is None:
        yield
        return
    counters = _counters(gpu, package_counters(), first_on_node=first_on_node)
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
        if folder.is_dir():
            write()


def _counters(
    gpu: Counter | None, packages: list[Counter], *, first_on_node: bool
) -> dict[str, Counter]:
    """Return the counters of this rank by method."""
    found: dict[str, Counter] = {}
    if gpu is not None:
        found[NVML_METHOD] = gpu
    if not packages:
        found[ESTIMATE] = lambda: time.process_time() * WATTS_A_BUSY_CORE
    elif first_on_node:
        found[RAPL_METHOD] = lambda: sum(counter() for counter in packages)
    return found


def _write_now_and_then(write: Callable[[], None], done: threading.Event) -> None:
    while not done.wait(WRITE_SECONDS):
        with suppress(OSError):  # on a full disk: the last write reports it, in the main thread
            write()
