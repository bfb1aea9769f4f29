"""Tests of the hardware: GPUs as torch and the driver see them, and an all-reduce over all ranks.

Light to import; torch is loaded by the tests.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from finetune.errors import first_line
from finetune.launch.devices import backend_of, build_in_words
from finetune.launch.ranks import ranks_of
from finetune.output.digits import whole_number
from finetune.output.terminal import aside

if TYPE_CHECKING:
    import torch

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
    missing_kernels: tuple[str, ...] = ()
    """GPUs that this build of torch has no code for, with what it is built for."""
    bf16_error: str | None = None
    """Error of a product in bf16; None if it succeeded or the GPU has no bf16."""
    bitsandbytes_error: str | None = None
    """Error of packing a matrix in 4 bits; None if it succeeded or there is no GPU."""


class Exchange(BaseModel):
    """Result of an all-reduce over all ranks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    ranks: int
    seconds: float | None = None
    """Duration of an all-reduce of 16 MiB, after a warm-up: on the GPUs, if there are any."""
    cpu_seconds: float | None = None
    """The same on the CPUs, where ranks agree with each other also when they train on GPUs."""
    gpu: str | None = None
    """Identity (UUID) of the rank's GPU."""
    error: str | None = None


def find_gpus() -> Gpus:
    """Return the GPUs that torch and the driver's tool see."""
    driver = _driver()
    try:
        import torch
    except ImportError as error:
        return Gpus(driver=driver, error=str(error))
    cuda, hip = torch.version.cuda, torch.version.hip
    version = build_in_words(torch.__version__, cuda=cuda, hip=hip)
    try:
        seen = torch.cuda.device_count()
        names = tuple(torch.cuda.get_device_name(i) for i in range(seen))
        missing = tuple(filter(None, map(_missing_kernels, range(seen))))
        if seen and not missing:
            torch.zeros(1, device="cuda").add_(1).item()
    except RuntimeError as error:  # a driver too old, a GPU that is lost or taken
        return Gpus(torch=version, driver=driver, error=str(error).strip().partition("\n")[0])
    usable = seen and not missing
    return Gpus(
        torch=version,
        driver=driver,
        seen=seen,
        names=names,
        missing_kernels=missing,
        bf16_error=_error_of(_multiply_in_bf16) if usable else None,
        bitsandbytes_error=_error_of(_pack_in_4_bits) if usable else None,
    )


def runs_on(archs: Collection[str], *, major: int, minor: int) -> bool:
    """Return whether a build for `archs` has code for a GPU of this compute capability.

    Binary code runs on later minor versions of its major version, PTX on every later GPU.

    >>> runs_on(["sm_80", "sm_90"], major=8, minor=9), runs_on(["sm_75", "sm_80"], major=7, minor=0)
    (True, False)
    >>> runs_on(["sm_80", "compute_90"], major=12, minor=0)
    True
    """
    for arch in archs:
        kind, _, digits = arch.partition("_")
        number = whole_number(digits.rstrip("af"))
        if number is None:
            continue
        built = divmod(number, 10)
        if kind == "sm" and built[0] == major and built[1] <= minor:
            return True
        if kind == "compute" and built <= (major, minor):
            return True
    return False


def _missing_kernels(index: int) -> str | None:
    """Return a GPU that this build of torch has no code for, with what there is code for."""
    import torch

    built = torch.cuda.get_arch_list()
    facts = torch.cuda.get_device_properties(index)
    if torch.version.hip:
        name = str(facts.gcnArchName).partition(":")[0]
        known = name in built
    else:
        name = f"sm_{facts.major}{facts.minor}"
        known = runs_on(built, major=facts.major, minor=facts.minor)
    return None if known or not built else f"{facts.name} is {name}, torch has {' '.join(built)}"


def _error_of(attempt: Callable[[], None]) -> str | None:
    try:
        attempt()
    except (RuntimeError, ImportError, OSError, ValueError, AttributeError) as error:
        return f"{type(error).__name__}: {first_line(error)}"
    return None


def _multiply_in_bf16() -> None:
    import torch

    if not torch.cuda.is_bf16_supported(including_emulation=False):
        return
    ones_NN = torch.ones(256, 256, device="cuda", dtype=torch.bfloat16)
    if float((ones_NN @ ones_NN)[0, 0]) != 256:
        raise ValueError("a product of ones in bf16 is wrong")


def _pack_in_4_bits() -> None:
    import torch
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    ones = torch.ones(64, 64, device="cuda", dtype=torch.float16)
    packed, state = quantize_4bit(ones, quant_type="nf4")
    if not torch.allclose(dequantize_4bit(packed, state), ones):
        raise ValueError("a matrix packed in 4 bits comes back as another one")


def try_exchange(folder: Path, *, timeout_seconds: float) -> Exchange | None:
    """Let the ranks of a launch meet and run all-reduces; None for one rank.

    They meet as in training (through `folder`, where srun started them), and over its backends:
    gloo between CPUs and, if there are GPUs, NCCL.
    """
    launched = ranks_of()
    ranks, rank = launched.world, launched.rank
    if ranks == 1:
        return None
    import torch
    import torch.distributed as dist

    from finetune.train.processes import join
    from finetune.train.stop import StopFlag

    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", launched.local_rank % torch.cuda.device_count())
    on_gpu = device.type == "cuda"
    result = Exchange(backend=backend_of(device.type), ranks=ranks)
    if on_gpu:
        identity = str(torch.cuda.get_device_properties(device).uuid)
        result = result.model_copy(update={"gpu": identity})
    limit = timedelta(seconds=timeout_seconds)
    try:
        join(device, stop=StopFlag(), folder=folder, say=lambda x: aside(str(x)), timeout=limit)
        on_cpus = _all_reduce_seconds("cpu", rank=rank, ranks=ranks)
        seconds = _all_reduce_seconds(device, rank=rank, ranks=ranks) if on_gpu else on_cpus
        dist.destroy_process_group()
    except (RuntimeError, ValueError) as error:
        return result.model_copy(update={"error": first_line(error, max_characters=600)})
    return result.model_copy(update={"seconds": seconds, "cpu_seconds": on_cpus})


def _all_reduce_seconds(device: torch.device | str, *, rank: int, ranks: int) -> float:
    """Return the duration of an all-reduce of 16 MiB. ValueError if its sum is wrong."""
    import torch
    import torch.distributed as dist

    numbers_N = torch.full((2**22,), rank + 1.0, device=device)
    dist.all_reduce(numbers_N)
    total = float(numbers_N[-1])
    if total != ranks * (ranks + 1) / 2:
        raise ValueError(f"wrong sum {total} on {device}")
    started = time.perf_counter()
    dist.all_reduce(numbers_N)
    numbers_N[-1].item()  # waits for a GPU
    return round(time.perf_counter() - started, 4)


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
