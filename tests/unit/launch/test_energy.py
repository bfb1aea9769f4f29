"""The energy meter: real counters read right, estimates that report it, nothing lost by a kill."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finetune.launch import energy
from finetune.launch.energy import (
    AMD_METHOD,
    ESTIMATE,
    NVML_METHOD,
    RAPL_METHOD,
    Gpu,
    metered,
    metered_stage,
    of_stage,
    recorded,
)
from finetune.spec.sections.electricity import GRID, Grid
from tests.support.nvml_driver import nvml_driver


def zone(root: Path, name: str, kind: str, microjoules: int) -> Path:
    """Write a RAPL zone as Linux shows it."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{kind}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")
    return folder


@pytest.fixture
def no_counters(tmp_path, constants):
    """A machine without RAPL."""
    constants(energy, POWERCAP=tmp_path / "none")


def test_packages_and_memory_count_once(tmp_path, constants):
    """Cores lie inside of packages and psys around them: only packages and memory are added."""
    constants(energy, POWERCAP=tmp_path / "powercap")
    zones = {
        kind: zone(tmp_path / "powercap", name, kind, 1_000_000)
        for name, kind in {
            "intel-rapl:0": "package-0",
            "intel-rapl:0:0": "core",
            "intel-rapl:0:1": "dram",
            "intel-rapl:1": "package-1",
            "intel-rapl:2": "psys",
        }.items()
    }
    with metered(tmp_path):
        for folder in zones.values():
            (folder / "energy_uj").write_text("3000000\n")
    assert recorded(tmp_path) == (pytest.approx(6 / 3.6e6), RAPL_METHOD, None, None, None)


def test_a_counter_that_wraps_goes_on(tmp_path):
    """Past its range a RAPL counter begins at 0; the joules do not."""
    folder = zone(tmp_path, "intel-rapl:0", "package-0", 262_143_000_000)
    (counter,) = energy.rapl_counters(tmp_path)
    (folder / "energy_uj").write_text("671150\n")
    assert counter() == pytest.approx(1.0)


def test_a_counter_that_may_not_be_read_is_none(tmp_path, constants):
    """If only root may read one counter, the energy is estimated, not half measured."""
    zone(tmp_path / "powercap", "intel-rapl:0", "package-0", 1)
    (zone(tmp_path / "powercap", "intel-rapl:1", "package-1", 1) / "energy_uj").unlink()
    constants(energy, POWERCAP=tmp_path / "powercap")
    with metered(tmp_path):
        pass
    assert recorded(tmp_path)[1] == ESTIMATE


def test_without_counters_cpu_time_is_an_estimate_that_says_so(tmp_path, no_counters):
    """The estimate is this process's CPU seconds times the watts that its method names."""
    begun = time.process_time()
    with metered(tmp_path):
        while time.process_time() - begun < 0.3:
            pass
    kilowatt_hours, method, low, high, _ = recorded(tmp_path)
    assert (low, high) == pytest.approx((kilowatt_hours / 2, kilowatt_hours * 2))
    assert kilowatt_hours * 3.6e6 == pytest.approx(0.3 * energy.WATTS_A_BUSY_CORE, rel=0.2)
    assert "not measured" in method
    assert "10 W" in method


def counted(uuid: str, *, readings: int, library: Path | None) -> list[float] | None:
    """Read a GPU's counter in a process of its own, in which the driver's library can be found."""
    program = (
        "import json, sys\n"
        "from finetune.launch.energy import nvml_counter\n"
        "counter = nvml_counter(sys.argv[1])\n"
        "print(json.dumps(counter and [counter() for _ in range(int(sys.argv[2]))]))\n"
    )
    where = {} if library is None else {"LD_LIBRARY_PATH": str(library.parent)}
    command = [sys.executable, "-c", program, uuid, str(readings)]
    done = subprocess.run(
        command, env=os.environ | where, check=True, capture_output=True, text=True
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_a_gpu_is_read_through_its_driver(tmp_path):
    """Joules of the GPU that torch names; a reading that fails repeats the one before it, and
    another GPU has no counter."""
    library = nvml_driver(tmp_path)
    assert counted("abc", readings=4, library=library) == [7.0, 8.0, 8.0, 9.0]
    assert counted("other", readings=1, library=library) is None


def test_a_machine_without_the_driver_has_no_counter():
    """Nothing is printed and nothing fails."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        assert counted("abc", readings=1, library=None) is None
    else:
        pytest.skip("this machine has the driver")


def test_a_gpu_that_cannot_be_metered_gives_no_number(tmp_path, no_counters):
    """Then the processor's part alone would look like the whole."""
    with metered(tmp_path, gpus=[Gpu("of no GPU")]):
        pass
    assert recorded(tmp_path) is None


class Amd:
    """A stand-in for AMD's library, with the two functions and the error that are used of it."""

    class AmdSmiException(Exception):
        """Any error of the library."""

    def __init__(self, *, name: str) -> None:
        self.name, self.readings = name, 0

    def amdsmi_init(self) -> None:
        """Begin."""

    def amdsmi_get_processor_handle_from_bdf(self, pci: str) -> str:
        """Know one card."""
        if pci != "0000:c1:00.0":
            raise self.AmdSmiException
        return "card"

    def amdsmi_get_energy_count(self, handle: str) -> dict[str, float]:
        """Count up in units of 15.259 microjoules; the third reading fails."""
        assert handle == "card"
        self.readings += 1
        if self.readings == 3:
            raise self.AmdSmiException
        return {self.name: self.readings * 1_000_000, "counter_resolution": 15.259, "timestamp": 0}


@pytest.mark.parametrize("name", ["energy_accumulator", "power"], ids=["new", "old"])
def test_an_amd_gpu_is_read_by_its_address(tmp_path, no_counters, monkeypatch, name):
    """Joules are count times resolution, under the name of new and of old versions; a reading that
    fails repeats the one before it, and another card has no counter."""
    monkeypatch.setitem(sys.modules, "amdsmi", Amd(name=name))
    counter = energy.amd_counter("0000:c1:00.0")
    assert [counter() for _ in range(3)] == pytest.approx([30.518, 30.518, 61.036])
    assert energy.amd_counter("0000:01:00.0") is None
    monkeypatch.setitem(sys.modules, "amdsmi", Amd(name=name))
    with metered(tmp_path, gpus=[Gpu("abc", "0000:c1:00.0")]):
        pass
    assert AMD_METHOD in recorded(tmp_path).method


def test_without_amds_library_there_is_no_number(tmp_path, no_counters):
    """The library comes with the driver: without it nothing fails and nothing is claimed."""
    with metered(tmp_path, gpus=[Gpu("abc", "0000:c1:00.0")]):
        pass
    assert recorded(tmp_path) is None


def test_a_stage_is_metered_in_all_its_processes_and_leaves_no_file(
    tmp_path, no_counters, variables
):
    """A process that takes part counts with the leader; the job knows the grid of its site; a late
    process finds no folder and writes nothing."""
    variables(**{GRID: '{"gco2_per_kwh": 56, "source": "a page"}'})
    with metered_stage(tmp_path, leads=True), metered_stage(tmp_path, leads=False):
        spent = time.process_time()
        while time.process_time() - spent < 0.05:
            pass
    with metered_stage(tmp_path, leads=False):
        found = of_stage(tmp_path)
    assert found.kilowatt_hours * 3.6e6 >= 2 * 0.05 * energy.WATTS_A_BUSY_CORE
    assert found.grid == Grid(56.0, "a page")
    assert list(tmp_path.iterdir()) == []
    with metered_stage(tmp_path, leads=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_ranks_and_starts_add_up(tmp_path):
    """Two GPUs, one of them started twice, and the processors counted once per node."""
    for rank, first in ((0, True), (1, False), (0, True)):
        with metered(
            tmp_path,
            rank=rank,
            first_on_node=first,
            gpus=[Gpu("abc")],
            counter_of=lambda _: iter(range(0, 10**9, 3600)).__next__,
            package_counters=lambda: [iter(range(0, 10**9, 7200)).__next__],
        ):
            pass
    energy.carry(tmp_path, kilowatt_hours=1.0, method=f"{ESTIMATE}; {NVML_METHOD}")
    kilowatt_hours, method, low, high, _ = recorded(tmp_path)
    measured = (3 * 3600 + 2 * 7200) / 3.6e6
    assert (low, high) == pytest.approx((0.5 + measured, 2 + measured))
    assert kilowatt_hours == pytest.approx(1 + (3 * 3600 + 2 * 7200) / 3.6e6)
    assert set(method.split("; ")) == {NVML_METHOD, RAPL_METHOD, ESTIMATE}
    energy.forget(tmp_path)
    assert recorded(tmp_path) is None


def test_a_killed_training_has_its_energy_written_down(tmp_path):
    """After SIGKILL the last writing is there, and the next start adds to it."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from finetune.launch import energy\n"
        "energy.WRITE_SECONDS = 0.02\n"
        "energy.POWERCAP = Path('none')\n"
        "with energy.metered(Path(sys.argv[1])):\n"
        "    while True: pass\n"
    )
    path = tmp_path / "energy-0.json"
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) as process:
        for _ in range(2000):
            if path.is_file() and json.loads(path.read_text())[0][ESTIMATE] > 1:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    with metered(tmp_path):
        pass
    starts = json.loads(path.read_text())
    assert len(starts) == 2
    assert starts[0][ESTIMATE] > 1
