"""Algorithms that give the same bits each time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from finetune.errors import TrainError
from finetune.messages import Place, problem

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
_WORKSPACES = (":4096:8", ":16:8")
"""Those of which NVIDIA says that cuBLAS is reproducible with them; the first one is faster."""


def ask_cublas() -> None:
    """Ask cuBLAS for products that repeat; torch looks once, at a process's first product."""
    if os.environ.get(_CUBLAS) not in _WORKSPACES:
        os.environ[_CUBLAS] = _WORKSPACES[0]


@contextmanager
def deterministic(device: torch.device, *, strict: bool) -> Iterator[None]:
    """Use deterministic algorithms inside the block: on a CPU, and on a GPU if `strict`.

    A mere warning would not do on a GPU: the kernels of attention then stay as they are. Raises
    TrainError where there is no such algorithm.
    """
    if device.type == "cuda" and not strict:
        yield
        return
    filling: Any = torch.utils.deterministic  # mypy does not know the properties of this module
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        filling.fill_uninitialized_memory,
    )
    if device.type == "cuda":
        ask_cublas()
    torch.use_deterministic_algorithms(True)
    # Filling every fresh tensor with NaN finds bugs; it costs time in every layer.
    filling.fill_uninitialized_memory = False
    try:
        yield
    except RuntimeError as error:
        if "does not have a deterministic implementation" not in str(error):
            raise
        raise TrainError(
            problem(
                "not-deterministic",
                "true, but torch has no deterministic {operation} on this device; set false. A "
                "resumed run then differs in its last digits",
                at=Place(key="run.deterministic"),
                operation=str(error).partition(" does not")[0],
            )
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        filling.fill_uninitialized_memory = before[2]
