"""The file and the choices by which a format finds its segments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cut:
    """The file, and what the user chose."""

    path: Path
    """For messages."""
    columns: tuple[str, ...] = ()
    """Names of the columns of a table that are translated."""
    paragraphs: bool = False
    """True if lines between blank lines are one segment of a plain text."""
