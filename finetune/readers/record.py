"""Records of files, and text units of files that are no records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune.messages import Place, Problem


@dataclass(frozen=True, slots=True)
class Edit:
    """A change that a reader made to a text, with only as much of the text as it concerns."""

    key: str
    """Key of finetune.text.normalize.CHANGES."""
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file; `fields` by role (`text`, `hau_Latn`, `messages`, ...)."""

    place: Place
    """File and line (or row, or key), with the file as the card writes it."""
    fields: Mapping[str, Any]
    contributor: str | None = None
    """Its contributor, if the card has a column for that."""
    names: tuple[str, ...] = ()
    """Names of people in its texts, if the card has a column for that."""
    tested: bool | None = None
    """True for a record of the test, if the card has a column for that; None without one."""
    changes: tuple[Edit, ...] = ()
    """Changes that the reader made to its text."""
    part_of: str = ""
    """Name of its document, where that is not its file: a book, a sheet, a value of a column."""

    @property
    def document(self) -> str:
        """Name of the document that it is a part of."""
        return self.part_of or str(self.place.file)

    @property
    def where(self) -> str:
        """Its place as text: `file:line`."""
        return str(self.place)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A text unit of a file that is no record: counted with its reason, and shown to a speaker."""

    place: Place
    reason: str
    """Key of finetune.readers.reasons.REASONS."""
    text: str = ""
    """Its text, as far as there is one."""
    problem: Problem | None = None
    """Fault of a malformed record. Of these a corpus may have only a few
    (finetune.readers.units)."""

    @property
    def where(self) -> str:
        """Its place as text: `file:line`."""
        return str(self.place)


Unit = Record | Rejection
"""Text unit of a file, as a reader yields it."""
