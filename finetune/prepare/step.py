"""The interface of a step: an item in, the item or a reason to reject it out.

Steps are functions. What they find on the way they return as notes; the loop writes all of it
down (finetune.prepare.loop), and no step knows of the ledger (an import contract holds that).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from finetune.identify.confusion import Judged
from finetune.messages import Problem
from finetune.spec.sections.text_checks import Action
from finetune.text.oddities import Finding


class Item(Protocol):
    """Item that passes the steps: a draft of a record, then a document."""

    @property
    def card(self) -> str:
        """Name of its data card."""

    @property
    def language(self) -> str:
        """The language that is trained on."""

    @property
    def where(self) -> str:
        """File and line of its record."""

    @property
    def shown(self) -> str:
        """Its texts, for a list of rejected texts."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of people in its texts, if the card has a column for that."""


@dataclass(frozen=True, slots=True)
class Place:
    """Origin of a text, for counts and samples."""

    card: str
    language: str
    where: str


@dataclass(frozen=True, slots=True)
class RejectedUnit(Place):
    """A text unit that a reader rejected, as an item of the loop."""

    shown: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """A change that was made to a text (finetune.text.normalize.CHANGES), before and after."""

    key: str
    before: str
    after: str
    may_show: bool = True
    """True if samples may show it; not where it holds what is masked or kept from readers."""


@dataclass(frozen=True, slots=True)
class PersonalFind:
    """Personal data of a kind in a text: how often, and what was done with it."""

    kind: str
    times: int
    action: Action
    blacked_out: str
    """The text without anything of what was found in it."""
    masked: str
    """The text as it goes on."""

    @property
    def shown(self) -> str:
        """The text afterwards as samples may show it: what is kept is not for their readers."""
        return self.blacked_out if self.action == "keep" else self.masked


@dataclass(frozen=True, slots=True)
class Cleaning:
    """Changes of one text, and findings in it."""

    place: Place
    changes: tuple[Changed, ...] = ()
    personal_data: tuple[PersonalFind, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Outlier:
    """A document far outside the lengths of its corpus that stays."""

    place: Place
    finding: Finding


@dataclass(frozen=True, slots=True)
class JudgedText:
    """The lines of a text as language identification judged them."""

    card: str
    claimed: str
    where: str
    lines: Sequence[Judged]
    is_odd: bool
    """True if the text as a whole is not in its declared script."""


@dataclass(frozen=True, slots=True)
class Met:
    """A text of an evaluation set that a document holds."""

    set_name: str
    number: int
    """Of the text, counted over all sets."""
    text: str
    """The text of the document that holds it."""
    share: float
    """Fraction of it that the document holds."""


@dataclass(frozen=True, slots=True)
class NotLaidOut:
    """A conversation that the base's chat template cannot lay out."""

    problems: tuple[Problem, ...]


Note = Cleaning | Outlier | JudgedText | Met | NotLaidOut


@dataclass(frozen=True, slots=True)
class Result:
    """Result of a step: the item, changed or not, and a reason if it is rejected."""

    item: Any
    reason: str | None = None
    """Key of finetune.prepare.checking.checks.REASONS if it is rejected."""
    notes: tuple[Note, ...] = ()


Step = Callable[[Iterator[Any]], Iterable[Result]]
"""Takes the items that are left and yields one result for each; one that has to see many before it
decides (lengths, the lowest hashes) may hold some back."""


def each(function: Callable[[Any], Result]) -> Step:
    """Return the step that looks at one item at a time."""
    return lambda items: map(function, items)


@dataclass(frozen=True, slots=True)
class Copy:
    """Original of a near duplicate, and their similarity."""

    similarity: float
    part: int
    """Index of the text in the rejected document (`Document.texts`)."""
    kept: int
    """Number in the spool of the document that stays."""
    kept_part: int
    """Index of the text."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A document of the spool that is rejected because of others in it."""

    number: int
    reason: str
    copy: Copy | None = None
