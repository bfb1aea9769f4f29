"""Kind of machine that computes: processor, GPU, threads. No name of a host.

The same bytes are promised on the same kind of machine alone.
"""

from __future__ import annotations

import platform
import sys
from contextlib import suppress
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
MOST_CHARACTERS = 120


def machine_kind() -> dict[str, str | int]:
    """Return machine, system and processor; threads and GPU where torch has been imported."""
    found: dict[str, str | int] = {
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": _processor()[:MOST_CHARACTERS],
    }
    if (torch := sys.modules.get("torch")) is not None:
        found["threads"] = int(torch.get_num_threads())
        with suppress(RuntimeError, AssertionError):  # a driver that does not answer
            if torch.cuda.is_initialized():
                found["gpu"] = str(torch.cuda.get_device_name())[:MOST_CHARACTERS]
    return found


def _processor() -> str:
    with suppress(OSError):
        for line in _CPUINFO.read_text("utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or "unknown"
