"""Utilisation and memory of a GPU: read at most now and then, and absent where NVML is silent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from finetune.launch.energy import Gpu
from finetune.launch.gpu_load import gpu_load
from tests.support.nvml_driver import nvml_driver

PROGRAM = """\
import json, sys
from finetune.launch import gpu_load
found = {}
for name in sys.argv[1:]:
    now = [0.0]
    load = gpu_load.gpu_load([gpu_load.Gpu(name)])
    load.clock = lambda: now[0]
    samples = [load.sample(), load.sample()]
    now[0] = gpu_load.EVERY_SECONDS
    found[name] = [load.memory_total(), *samples, load.sample()]
print(json.dumps(found))
"""


def test_a_gpu_is_sampled_at_most_once_in_some_seconds(tmp_path: Path) -> None:
    """Through the driver: a slice has no utilisation, and a GPU it does not know nothing at all."""
    where = {"LD_LIBRARY_PATH": str(nvml_driver(tmp_path).parent)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "abc", "MIG-abc", "other"],
        env=os.environ | where,
        check=True,
        capture_output=True,
        text=True,
    )
    total, memory = {"gpu_memory_total_bytes": 80000}, {"gpu_memory_bytes": 30000}
    both = memory | {"gpu_utilization": 0.75}
    assert json.loads(done.stdout) == {
        "abc": [total, both, {}, both],
        "MIG-abc": [total, memory, {}, memory],
        "other": [{}, {}, {}, {}],
    }


def test_a_run_without_a_gpu_has_no_columns() -> None:
    """Nothing is sampled on a CPU, nor on a card of AMD, which NVML does not know."""
    for gpus in ([], [Gpu("abc", "0000:01:00.0")]):
        assert (gpu_load(gpus).sample(), gpu_load(gpus).memory_total()) == ({}, {})
