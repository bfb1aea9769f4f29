"""What is known before anything is proposed: the cards, their texts, the bases that can be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finetune.spec.card import DataCard
from finetune.spec.recipe import Base
from finetune.tokenizer.measure import Audit


@dataclass(frozen=True, slots=True)
class Candidate:
    """A base that a recipe of the user names and whose tokenizer lies here."""

    label: str
    base: Base
    recipe: str
    """The recipe that names it, as it was given."""
    context_tokens: int | None
    refused: str = ""
    """Why an adapter of it may not be released with these cards; empty if it may."""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """A card, one language that is learned from it, and its texts measured with every base."""

    card: DataCard
    language: str
    use: str
    """`text`, `translation` or `chat`."""
    source: str | None
    """The language that is translated from."""
    audit: Audit
    long_bytes: int
    """The length that 95 % of its documents do not exceed (what is learned and its source)."""

    def tokens(self, label: str) -> int:
        """Return the tokens that are learned, with a base's tokenizer."""
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
        """Whether plain text is learned, and not translations and conversations alone."""
        return any(one.use == "text" for one in self.cards)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that are learned, once, in order."""
        return tuple(dict.fromkeys(one.language for one in self.cards))

    def total_tokens(self, label: str) -> int:
        """Return the tokens of one pass over what is learned, without replay."""
        return sum(one.tokens(label) for one in self.cards)
