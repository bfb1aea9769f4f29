"""Verdict of one trial."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """Case that was tried, and its faults afterwards."""

    case: str
    """Description of the case: `train, killed before write 17`."""
    problems: tuple[str, ...] = ()
    """Nothing: it survived."""
    seed: int | None = None
    """With it alone, and a count of 1, the trial is repeated."""

    @property
    def survived(self) -> bool:
        """Return whether nothing was wrong."""
        return not self.problems
