"""Problems of files that the card verbs write."""

from __future__ import annotations

from pathlib import Path

from finetune.messages import Place, Problem, problem


def not_written(path: Path, error: OSError) -> Problem:
    """Return the problem of a file that the machine refused to write."""
    return problem(
        "not-written", "cannot be written: {reason}", at=Place(path), reason=error.strerror
    )
