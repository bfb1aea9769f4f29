"""Memory and CPU time of an attempt, from the exit records of its ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finetune.launch.outcome import Outcome


def used(ranks: Sequence[Outcome], *, number_of_ranks: int) -> dict[str, Any]:
    """Return the largest resident set of a rank, and the CPU seconds of all of them.

    A rank that was killed has no record: then the CPU seconds are not known.
    """
    peaks = [rank.peak_bytes for rank in ranks if rank.peak_bytes is not None]
    seconds = [rank.cpu_seconds for rank in ranks if rank.cpu_seconds is not None]
    whole = len(seconds) == number_of_ranks
    return {"peak_bytes": max(peaks, default=None), "cpu_seconds": sum(seconds) if whole else None}
