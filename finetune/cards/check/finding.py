"""One finding about a card: its level and its problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from finetune.errors import FinetuneError
from finetune.messages import Problem, Sentence, sentence

Level = Literal["error", "warning", "note"]

LEVELS: Mapping[Level, Sentence] = {
    "error": sentence("error"),
    "warning": sentence("warning"),
    "note": sentence("note"),
}
"""In order of weight: an error keeps a recipe from running or a release from being made."""


def errors_of(error: FinetuneError) -> list[Finding]:
    """Return the problems of an error as findings."""
    return [Finding("error", one) for one in error.problems]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a card's owner should know."""

    level: Level
    problem: Problem

    @property
    def code(self) -> str:
        """Kind of the finding."""
        return self.problem.code

    @property
    def facts(self) -> Mapping[str, Any]:
        """Facts of its sentence."""
        return self.problem.facts
