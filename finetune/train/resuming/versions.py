"""Versions that write a checkpoint, and their comparison when it is resumed."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from finetune import __version__
from finetune.errors import TrainError
from finetune.messages import problem

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "deepspeed",
    "bitsandbytes",
    "numpy",
    "safetensors",
)
ABSENT = "not installed"
_NOT_COMPARED = frozenset({"safetensors"})
"""Recorded for people: it stores numbers and computes none."""


def versions_now() -> dict[str, str]:
    """Return the versions of this program, of Python and of the packages that train."""
    found = {"finetune": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ABSENT
    return found


def changed(
    then: Mapping[str, str], now: Mapping[str, str], *, sharding: str, quantized: bool
) -> list[str]:
    """Return `NAME THEN (here NOW)` for each version that differs and takes part.

    `sharding`: of the checkpoint. Of Python the first two numbers count. A checkpoint of an older
    finetune has no versions; nothing is compared then.

    >>> changed({"torch": "2.12.0", "deepspeed": "0.18"}, {"torch": "2.13.0", "deepspeed": "0.19"},
    ...         sharding="ddp", quantized=False)
    ['torch 2.12.0 (here 2.13.0)']
    """
    idle = set(_NOT_COMPARED)
    if not sharding.startswith("zero"):
        idle.add("deepspeed")
    if not quantized:
        idle.add("bitsandbytes")
    return [
        f"{name} {before} (here {now.get(name, ABSENT)})"
        for name, before in then.items()
        if name not in idle and _compared(name, before) != _compared(name, now.get(name, ABSENT))
    ]


def other_versions(changes: list[str], *, step: int) -> TrainError:
    """Return the error for a checkpoint of other versions."""
    return TrainError(
        problem(
            "other-versions",
            "the checkpoint at step {step} was written with {changes}. Install these versions "
            "again, or accept the others with --accept-versions (of jobs: `finetune "
            "resubmit --accept-versions`); the loss before and after is then compared",
            step=step,
            changes=changes,
        )
    )


def _compared(name: str, found: str) -> str:
    return ".".join(found.split(".")[:2]) if name == "python" else found
