"""Tests of the hardware: GPUs as torch and the driver see them, and an all-reduce over all ranks.

Light to import; torch is loaded by the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from finetune.errors import first_line

_SMI_SECONDS = 30.0
_DRIVERS = {
    "nvidia-smi": ("--query-gpu=name,driver_version", "--format=csv,noheader"),
    "rocm-smi": ("--showproductname", "--showdriverversion", "--csv"),
}


class Gpus(BaseModel):
    """GPUs as torch and the driver's tool report them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    torch: str | None = None
    """Version and build of torch, None if it is not installed."""
    seen: int = 0
    names: tuple[str, ...] = ()
    driver: tuple[str, ...] = ()
    """Output of nvidia-smi or rocm-smi, one line per GPU; () if neither works."""
    error: str | None = None
    """Error of torch, if it cannot use the GPUs."""


class Exchange(BaseModel):
    """Result of an all-reduce over all ranks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    ranks: int
    seconds: float | None = None
    """Duration of an all-reduce of 16 MiB, after a warm-up."""
    error: str | None = None


def find_gpus() -> Gpus:
    """Return the GPUs that torch and the driver's tool see."""
    driver = _driver()
    try:
        import torch
    except ImportError as error:
        return Gpus(driver=driver, error=str(error))
    build = torch.version.cuda and f"CUDA {torch.version.cuda}"
    build = build or (torch.version.hip and f"ROCm {torch.version.hip}") or "CPU only"
    version = f"{torch.__version__} ({build})"
    try:
        seen = torch.cuda.device_count()
        names = tuple(torch.cuda.get_device_name(i) for i in range(seen))
        if seen:
            torch.zeros(1, device="cuda").add_(1).item()
    except RuntimeError as error:  # a driver too old, a GPU that is lost or taken
        return Gpus(torch=version, driver=driver, error=str(error).strip().partition("\n")[0])
    return Gpus(torch=version, driver=driver, seen=seen, names=names)


def try_exchange(*, timeout_seconds: float) -> Exchange | None:
    """Run an all-reduce over the ranks of torchrun's variables; None for one rank."""
    ranks, rank = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
    if ranks == 1:
        return None
    import torch
    import torch.distributed as dist

    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        torch.cuda.set_device(device)
    backend = "gloo" if device.type == "cpu" else "nccl"
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout_seconds))
        numbers_N = torch.full((2**22,), rank + 1.0, device=device)
        dist.all_reduce(numbers_N)
        total = float(numbers_N[-1])
        started = time.perf_counter()
        dist.all_reduce(numbers_N)
        numbers_N[-1].item()  # waits for a GPU
        seconds = time.perf_counter() - started
        dist.destroy_process_group()
    except (RuntimeError, ValueError) as error:
        return Exchange(backend=backend, ranks=ranks, error=first_line(error))
    if total != ranks * (ranks + 1) / 2:
        return Exchange(backend=backend, ranks=ranks, error=f"wrong sum {total}")
    return Exchange(backend=backend, ranks=ranks, seconds=round(seconds, 4))


def _driver() -> tuple[str, ...]:
    for tool, options in _DRIVERS.items():
        program = shutil.which(tool)
        if program is None:
            continue
        try:
            done = subprocess.run(
                [program, *options],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_SMI_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            lines = [line.strip() for line in done.stdout.splitlines()]
            return tuple(x for x in lines if x and not x.startswith("device,"))  # ROCm's header
    return ()
