"""Utilisation and memory of a GPU during a training run, from NVML where it answers.

There is no thread: the training loop asks at the ends of steps, and NVML is read at most once in
`EVERY_SECONDS`. What NVML does not tell (utilisation of a MIG slice, anything without the driver)
is absent, never zero. Both are of the whole device, other processes on it included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from finetune.launch.energy import Gpu, nvml_name

EVERY_SECONDS = 5.0


@dataclass(slots=True)
class GpuLoad:
    """Owns the handle of a GPU in NVML; `handle` None: NVML does not answer."""

    handle: object | None = None
    clock: Callable[[], float] = time.monotonic
    _next: float = field(default=0.0, init=False)

    def sample(self) -> dict[str, float]:
        """Return `gpu_utilization` (share of the last second or less in which a kernel ran) and
        `gpu_memory_bytes`, each where NVML tells it; nothing if it is too early to ask again."""
        if self.handle is None or self.clock() < self._next:
            return {}
        import pynvml

        self._next = self.clock() + EVERY_SECONDS
        found: dict[str, float] = {}
        with suppress(pynvml.NVMLError):
            found["gpu_memory_bytes"] = int(pynvml.nvmlDeviceGetMemoryInfo(self.handle).used)
        with suppress(pynvml.NVMLError):
            rates = pynvml.nvmlDeviceGetUtilizationRates(self.handle)
            found["gpu_utilization"] = int(rates.gpu) / 100
        return found

    def memory_total(self) -> dict[str, float]:
        """Return `gpu_memory_total_bytes`, if NVML tells it."""
        if self.handle is None:
            return {}
        import pynvml

        with suppress(pynvml.NVMLError):
            total = pynvml.nvmlDeviceGetMemoryInfo(self.handle).total
            return {"gpu_memory_total_bytes": int(total)}
        return {}


def gpu_load(gpus: Sequence[Gpu]) -> GpuLoad:
    """Return what reads the first of some GPUs; without one, or with one of AMD, it reads nothing.

    Tried with a stand-in of NVIDIA's driver, not on a GPU.
    """
    if not gpus or gpus[0].pci is not None:
        return GpuLoad()
    import pynvml

    try:
        pynvml.nvmlInit()
        return GpuLoad(pynvml.nvmlDeviceGetHandleByUUID(nvml_name(gpus[0].uuid)))
    except pynvml.NVMLError:
        return GpuLoad()
