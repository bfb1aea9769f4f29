"""Result of a gate, as a release records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from finetune.artefacts.scores import SPARSE
from finetune.spec.sections.gates import GateName

Finding = Literal["passed", "failed", "not covered", "not measured", "does not apply"]
Fact = float | int | str | tuple[str, ...]
OPEN = ("passed", "overridden", "does not apply")
"""States with which a release may be public."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """A finding, for a language or for the whole recipe."""

    gate: GateName
    finding: Finding
    place: str = field(default="", metadata=SPARSE)
    """Language, direction or phase, for people; empty: the whole recipe."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """Numbers and names of its sentence."""
    override: str | None = field(default=None, metadata=SPARSE)
    """Reason for which the release may be public all the same."""

    @property
    def state(self) -> str:
        """The finding, or `overridden`."""
        return self.finding if self.override is None else "overridden"
