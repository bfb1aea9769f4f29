"""What a reader yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file; `fields` by role (`text`, `hau_Latn`, `messages`, ...)."""

    where: str
    """`file:line` (or row, or key), with the file as the card writes it."""
    fields: Mapping[str, Any]
    contributor: str | None = None
    """Who gave it, if the card has a column for that."""
    names: tuple[str, ...] = ()
    """Names of people in its texts, if the card has a column for that."""
