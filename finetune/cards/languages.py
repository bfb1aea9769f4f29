"""Which languages the first texts of a card seem to be in, with the models that come along.

No file and no text leaves the machine, and nothing is learned: `finetune prepare` does that, with
all the cards of a recipe (docs/language-id.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from finetune.cards.look import Look, shortened
from finetune.spec.identify import Identify

if TYPE_CHECKING:
    from finetune.identify.identifier import Identifier

SETTINGS = Identify()
"""What a recipe does that says nothing about it."""
LOOK_LINES = 300
"""How many lines of a language are judged, at most: the slowest model needs 3 ms a line."""


@dataclass(slots=True)
class Spoken:
    """What the first texts that are said to be in a language seem to be in."""

    asked: Sequence[str]
    """The models that were asked; none if the script is enough, or nobody knows the language."""
    covered: bool
    texts: int = 0
    """Texts looked at, those without an answer included."""
    lines: Counter[str] = field(default_factory=Counter)
    """Lines by language or script that they seem to be in; the claimed one among them."""
    silent: int = 0
    """Lines that are too short, or about which no model is sure enough."""
    odd: Counter[str] = field(default_factory=Counter)
    """Language -> texts that seem to be in it, and not in the one they are said to be in."""
    first: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Language -> place and beginning of the first such text."""


def languages_in(seen: Look, *, claimed: Sequence[str]) -> Mapping[str, Spoken]:
    """Judge the first texts of a look; `claimed` are the languages of the card.

    Raises DataError if a model that comes with finetune is not installed.
    """
    from finetune.identify.identifier import make_identifier

    identifier = make_identifier(claimed, settings=SETTINGS)
    found = {}
    for language, texts in seen.first.items():
        coverage = identifier.coverage[language]
        spoken = Spoken([voter.model for voter in coverage.voters], coverage.covered)
        for where, text in texts:
            if spoken.lines.total() + spoken.silent >= LOOK_LINES:
                break
            _judge(spoken, text, where=where, claimed=language, identifier=identifier)
        found[language] = spoken
    return found


def _judge(spoken: Spoken, text: str, *, where: str, claimed: str, identifier: Identifier) -> None:
    from finetune.identify.confusion import judge_text, odd_reason

    judged = judge_text(identifier, text, claimed=claimed)
    spoken.texts += 1
    others: Counter[str] = Counter()
    for one in judged:
        kind, name = one.verdict.kind, one.verdict.found
        if name is None or kind == "unsure":
            spoken.silent += 1
            continue
        spoken.lines[name] += 1
        if kind == "other-language":
            others[name] += 1
    # texts in another script are told apart already
    if odd_reason(judged, share=SETTINGS.drop_share) == "other-language":
        name = min(others, key=lambda one: (-others[one], one))
        spoken.odd[name] += 1
        spoken.first.setdefault(name, (where, shortened(text)))
