"""What a system gives for one item: the ways of answering that metrics can score."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a system finds a text."""

    nats: float
    """Sum of the negative log-likelihoods of its supervised tokens."""
    size_bytes: int
    """UTF-8 bytes that those tokens decode to."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What a system wrote for a prompt."""

    text: str
    reference: str
    source: str | None
    """What was to be translated, for metrics that look at it."""
