"""Waiting for something that a cluster does in its own time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_for(
    found: Callable[[], Found], *, seconds: float = 60, said: Callable[[], str] = str
) -> Found:
    """Return the first true value that `found` returns.

    `seconds` are those of a machine that does nothing else; other workers take their share. `said`
    is what a failure shows.
    """
    end = time.monotonic() + seconds * int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while not (value := found()):
        assert time.monotonic() < end, f"waited too long: {said()}"
        time.sleep(0.2)
    return value
