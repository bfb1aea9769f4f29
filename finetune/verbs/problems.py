"""Problems that several verbs report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from finetune.messages import Place, Problem, problem

if TYPE_CHECKING:
    pass


def already_exists(path: Path, *, option: str = "") -> Problem:
    """Return the problem of a target that exists; nothing is overwritten."""
    return problem(
        "already-exists",
        "{path} already exists; nothing was written. Name another one",
        at=Place(key=option) if option else None,
        path=path,
    )


def exclusive(first: str, second: str) -> Problem:
    """Return the problem of two options that exclude each other."""
    return problem("exclusive-options", "give one of {options}", options=[first, second])


def not_positive(option: str, value: float) -> Problem:
    """Return the problem of a number that must be above 0."""
    return problem("not-positive", "must be more than 0", at=Place(key=f"{option} {value:g}"))
