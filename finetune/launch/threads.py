"""CPU threads of a process: its share of the physical cores."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from finetune.launch.ranks import ranks_of
from finetune.output.digits import whole_number

_SIBLINGS = "/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"


def threads_of(asked: int | None) -> int:
    """Return the threads to use: `asked`, else OMP_NUM_THREADS, else a share of the cores."""
    if asked is None:
        asked = whole_number(os.environ.get("OMP_NUM_THREADS", "")) or None
    if asked is not None:
        return asked
    allowed = os.sched_getaffinity(0)
    return share_of(
        cores_of(allowed),
        is_shared=is_shared(len(allowed), of=os.cpu_count() or len(allowed)),
        ranks=ranks_of().local_world,
    )


def share_of(cores: int, *, is_shared: bool, ranks: int) -> int:
    """Return the threads of one of several ranks on a node.

    >>> share_of(48, is_shared=True, ranks=4), share_of(24, is_shared=False, ranks=4)
    (12, 24)
    """
    return max(1, cores // ranks if is_shared else cores)


def is_shared(allowed: int, *, of: int, environment: Mapping[str, str] | None = None) -> bool:
    """Return whether the ranks of a node share the CPUs that this process may use.

    srun binds each rank to CPUs of its own, which are not to be divided again; torchrun binds none.

    >>> is_shared(96, of=96, environment={}), is_shared(24, of=96, environment={})
    (True, False)
    >>> is_shared(24, of=96, environment={"TORCHELASTIC_RUN_ID": "none"})
    True
    """
    found = os.environ if environment is None else environment
    return allowed >= of or "TORCHELASTIC_RUN_ID" in found


def cores_of(cpus: Collection[int], *, siblings: str = _SIBLINGS) -> int:
    """Return the physical cores behind CPUs; each CPU is one where the system does not say."""
    cores = set()
    for cpu in cpus:
        try:
            cores.add(Path(siblings.format(cpu=cpu)).read_text(encoding="ascii").strip())
        except OSError:
            cores.add(f"cpu {cpu}")
    return max(1, len(cores))
