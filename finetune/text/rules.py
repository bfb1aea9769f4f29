"""One row of the tables of reasons, changes and findings: key, words, switch, function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from finetune.messages import Sentence
from finetune.spec.sections.text_checks import TextChecks

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Rule(Generic[Function]):
    """A reason to reject texts, a change, or a finding."""

    key: str
    """Its name in rejected.jsonl and in reports."""
    about: Sentence
    """Its meaning, for people."""
    switch: str = ""
    """The key of the recipe that turns it off (`prepare.text.damaged`), or of the card
    (`card: drop_matching`). Empty: nothing turns it off."""
    off: tuple[Any, ...] = ()
    """Values of the switch with which it does nothing."""
    function: Function | None = None
    """The function that decides or changes. None: the step with this key does it."""

    def is_on(self, checks: TextChecks) -> bool:
        """Return whether the settings `prepare.text` let it act; one with another switch is on."""
        section, _, field = self.switch.rpartition(".")
        return section != "prepare.text" or getattr(checks, field) not in self.off


def by_key(*rules: Rule[Function]) -> dict[str, Rule[Function]]:
    """Return rules by their keys, in order."""
    return {rule.key: rule for rule in rules}
