"""Memory that this process may use, and the most that it used."""

from __future__ import annotations

import sys
from pathlib import Path

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_bytes() -> int:
    """Return the bytes of memory of this machine.

    A control group's limit (a container, a Slurm job) counts as the machine's memory.
    """
    import psutil  # loads the network

    total = psutil.virtual_memory().total
    for limit in map(Path, _CGROUP_LIMITS):
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            total = min(total, int(text))
    return int(total)


def peak_bytes() -> int | None:
    """Return the largest resident set of this process so far; None where no system counts it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
