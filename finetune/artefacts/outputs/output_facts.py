"""Facts on the outputs of each system: languages, repetition, copies, empty ones.

Shown beside the scores, because a score alone does not tell a translation from a text that repeats
a word, copies the source or is in another language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from finetune.artefacts.scores import SPARSE

REFERENCE = "reference"
"""Name of the references among the systems."""
NO_WORDS = "zxx"
"""Language of a text without a letter (ISO 639)."""


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """Facts on the outputs of one system, or on the references."""

    n: int
    empty: int
    words: int
    distinct_words: int
    repetition: float
    """Share of the character 4-grams that stood before in the same output."""
    copies: int | None = field(default=None, metadata=SPARSE)
    """Outputs that are their source again; None without sources."""
    languages: Mapping[str, int] = field(default_factory=dict)
    """Language that an output was identified as -> outputs, the most frequent first; none if
    nothing identifies the language."""


@dataclass(frozen=True, slots=True)
class GroupOutputs:
    """Outputs of every system for the items of a language or direction."""

    language: str
    direction: str | None
    phase: str | None
    is_covered: bool
    """False: nothing identifies texts in the language, so that fidelity is unknown."""
    identified_by: str
    """Way in which the languages were identified, or the ways that were tried, for people."""
    systems: Mapping[str, OutputFacts]
    """By system, and `REFERENCE`."""


@dataclass(frozen=True, slots=True)
class HardInputs:
    """Outputs of a system for short or hard inputs of one kind."""

    language: str
    direction: str | None
    phase: str | None
    kind: str
    """`one word`, `upper case`, `typing errors`, `numbers`, `negation`."""
    system: str
    n: int
    empty: int
    repeated: int
    """Outputs that are mostly the same again."""
    unexplained: int
    """Outputs that are longer for their source than 99 % of the references, or have a number or
    placeholder of their own."""
    numbers_kept: int | None = None
    """Outputs with all numbers of the source in digits; None for other kinds."""
    pairs_alike: int | None = None
    """Sentences with the same output as their negation; None for other kinds."""
