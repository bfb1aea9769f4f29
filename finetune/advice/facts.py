"""Facts behind a proposal: the cards, their texts, the available bases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finetune.spec.card import DataCard
from finetune.spec.sections.base_model import Base
from finetune.tokenizer.measure import Audit


@dataclass(frozen=True, slots=True)
class Candidate:
    """A base that a recipe of the user names and whose tokenizer is on this machine."""

    label: str
    base: Base
    recipe: str
    """The recipe that names it, as it was given."""
    context_tokens: int | None
    refused: str = ""
    """Reason against releasing an adapter of it with these cards; empty if there is none."""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """A card, one of its target languages, and its target texts measured with every base."""

    card: DataCard
    language: str
    use: str
    """`text`, `translation` or `chat`."""
    source: str | None
    """The source language of translations."""
    audit: Audit
    long_bytes: int
    """The length that 95 % of its documents do not exceed (target text and source)."""

    def tokens(self, label: str) -> int:
        """Return the target tokens with a base's tokenizer."""
        return next(cost.tokens for cost in self.audit.bases if cost.name == label)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a proposal follows from."""

    cards: tuple[CardFacts, ...]
    replay: tuple[CardFacts, ...]
    candidates: tuple[Candidate, ...]
    missing: Mapping[str, str]
    """Bases of recipes that are not here -> why."""

    @property
    def plain_text(self) -> bool:
        """Return whether there is plain text, and not only translations and conversations."""
        return any(one.use == "text" for one in self.cards)

    @property
    def languages(self) -> tuple[str, ...]:
        """The target languages, each once, in order."""
        return tuple(dict.fromkeys(one.language for one in self.cards))

    def total_tokens(self, label: str) -> int:
        """Return the target tokens of one pass, without replay data."""
        return sum(one.tokens(label) for one in self.cards)
