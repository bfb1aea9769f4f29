"""Outputs of a system for one item: a likelihood, a generation, and those of controls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Likelihood that a system gives to a text."""

    nats: float
    """Sum of the negative log-likelihoods of its supervised tokens that spell text."""
    size_bytes: int
    """UTF-8 bytes that those tokens decode to."""
    mark_nats: float = 0.0
    """The same of its end marks, supervised tokens that spell no text."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of a system to a question of a public task."""

    value: float
    """Value of the task's own metric: 1 for a right answer, 0 for a wrong one."""


@dataclass(frozen=True, slots=True)
class Generation:
    """Generation of a system for a prompt."""

    text: str
    reference: str
    source: str | None
    """Source text, for metrics that use it."""
    language: str | None = None
    """The language that it should be in."""
    found: str | None = None
    """The language that it was identified as; None: nothing identifies texts in `language`."""
    reference_found: str | None = None
    """The same of the reference."""


@dataclass(frozen=True, slots=True)
class SourceUse:
    """Likelihoods of a translation, given its own source and another one."""

    right_nats: float
    wrong_nats: float
    size_bytes: int
    """UTF-8 bytes of the translation."""
    lead_nats: float
    """Gain of the translation in log-likelihood by its own source, minus the largest such gain of
    another text."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Divergence of a system from the base, summed over the tokens that follow a prompt."""

    nats: float
    tokens: int
