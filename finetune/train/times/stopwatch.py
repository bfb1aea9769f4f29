"""A stopwatch for one attempt at a training run.

It reads the host's clock and never waits for a device: a GPU still works when the host goes on, so
its time appears where the host waits for it, which in a step is at its end. The seconds of a whole
step are right; of its parts, those for batches are what the host spent on making them.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Stopwatch:
    """Owns the begin of an attempt, and the seconds of its named parts."""

    def __init__(self, begun: float) -> None:
        """`begun`: on the steady clock, before the stage's modules were imported."""
        self.begun = self._last = begun
        self.parts: dict[str, float] = {}
        began = datetime.now(UTC).timestamp() - self.seconds
        self.time = datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds")
        """Begin of the attempt: UTC, ISO 8601."""

    @property
    def seconds(self) -> float:
        """Return the seconds since the begin."""
        return time.monotonic() - self.begun

    def lap(self, part: str) -> None:
        """Note that a part ends now, which began where the one before it ended."""
        now = time.monotonic()
        self.parts[part] = self.parts.get(part, 0.0) + now - self._last
        self._last = now
