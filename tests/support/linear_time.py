"""Hostile texts, and a bound of CPU time that what takes the square of their length goes over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

LETTERS = 200_000
"""Half of the square is 20,000 million steps: minutes of Python or of a regular expression."""


def flood(piece: str, *, letters: int = LETTERS) -> str:
    """Return a piece again and again, up to so many letters."""
    return piece * (letters // len(piece))


@contextmanager
def within_cpu_seconds(most: float = 3) -> Iterator[None]:
    """Fail if the block takes more; other work on the machine does not count."""
    began = time.process_time()
    yield
    took = time.process_time() - began
    assert took < most, f"{took:.1f} s"
