"""A stand-in for the library of NVIDIA's driver, which is loaded by its name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = """\
#include <string.h>
static unsigned long long used = 5000;
static int readings = 0;
static char slice;
int nvmlInitWithFlags(unsigned int flags) { return 0; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    if (!strcmp(uuid, "MIG-abc")) *handle = &slice;
    else if (!strcmp(uuid, "GPU-abc")) *handle = &used;
    else return 6;
    return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *millijoules) {
    if (++readings == 4) return 15; /* the GPU is lost */
    used += 1000;
    *millijoules = *(unsigned long long *)handle;
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *handle, unsigned long long *total_free_used) {
    total_free_used[0] = 80000;
    total_free_used[2] = 30000;
    return 0;
}
int nvmlDeviceGetUtilizationRates(void *handle, unsigned int *gpu_memory) {
    if (handle == &slice) return 3; /* not supported */
    gpu_memory[0] = 75;
    return 0;
}
"""


def nvml_driver(folder: Path) -> Path:
    """Build the library in a folder: a GPU `abc`, and a MIG slice `MIG-abc`."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for the stand-in of the driver")
    (folder / "nvml.c").write_text(SOURCE)
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", str(library), str(folder / "nvml.c")], check=True
    )
    return library
