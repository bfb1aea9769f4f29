"""The device of a process: what recipe and site expect, and what the process sees.

Light to import; what torch sees is handed in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from finetune.errors import TrainError
from finetune.messages import Place, problem
from finetune.output.digits import whole_number

Wanted = Literal["auto", "gpu", "cpu"]
GPUS = "FINETUNE_GPUS"
"""Environment variable of batch scripts: GPUs per node that the job requests."""
LOCAL_RANK = "LOCAL_RANK"


def backend_of(device_type: str) -> str:
    """Return torch's backend of collectives: gloo on the CPU, and NCCL (RCCL) beside it on GPUs.

    Training and `finetune doctor` both take this one, so that what the doctor tries is what runs.

    >>> backend_of("cuda"), backend_of("cpu")
    ('cpu:gloo,cuda:nccl', 'gloo')
    """
    return "cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo"


def takes_gpu(
    wanted: Wanted, *, visible: int, build: str, environment: Mapping[str, str] | None = None
) -> bool:
    """Return whether a process computes on a GPU; `visible`: GPUs that it sees.

    Raises TrainError if the recipe or the site's batch script expects a GPU and none is visible:
    the job would otherwise run for hours on the CPU of a GPU node. `build`: of torch.
    """
    if wanted == "cpu":
        return False
    if visible:
        return True
    found = os.environ if environment is None else environment
    of_site = whole_number(found.get(GPUS, "")) or 0
    if wanted == "gpu" or of_site:
        who = "gpu" if wanted == "gpu" else f"{GPUS}={of_site}"
        raise TrainError(
            problem(
                "no-gpu-visible",
                "{who} expects a GPU, and torch {build} sees none. Install a build of torch for "
                "the driver, request GPUs (--gres or --gpus-per-node), or write run.device: cpu; "
                "`finetune doctor` shows driver and build",
                at=Place(key="run.device") if wanted == "gpu" else None,
                who=who,
                build=build,
            )
        )
    return False


def build_in_words(version: str, *, cuda: str | None, hip: str | None) -> str:
    """Return torch's version and what it is built for.

    >>> build_in_words("2.13.0+cpu", cuda=None, hip=None)
    '2.13.0+cpu (CPU only)'
    """
    build = (cuda and f"CUDA {cuda}") or (hip and f"ROCm {hip}") or "CPU only"
    return f"{version} ({build})"


def hide_gpus() -> None:
    """Hide visible GPUs from libraries that look for them by themselves."""
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        os.environ[name] = ""


@contextmanager
def local_rank_of_device(index: int | None) -> Iterator[None]:
    """Let LOCAL_RANK be the index of this process's GPU inside the block, for libraries.

    DeepSpeed and Accelerate take LOCAL_RANK for the index. Where a scheduler shows each task its
    own GPU only (`--gpus-per-task`, `--gpu-bind=single:1`) that index is 0 in every rank.
    """
    before = os.environ.get(LOCAL_RANK)
    if index is None or before is None:
        yield
        return
    os.environ[LOCAL_RANK] = str(index)
    try:
        yield
    finally:
        os.environ[LOCAL_RANK] = before
