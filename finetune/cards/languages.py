"""Language identification of the first texts of a card, with the installed models.

No text leaves the machine, and no classifier is trained: `finetune prepare` does that, with all the
cards of a recipe (docs/data/language-id.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from finetune.cards.look import Look
from finetune.spec.sections.identify import Identify
from finetune.spec.tables.extras import lacking
from finetune.text.shown import shown

if TYPE_CHECKING:
    from finetune.identify.identifier import Identifier

SETTINGS = Identify.with_defaults()
"""The defaults of a recipe."""
LOOK_LINES = 300
"""Upper bound of the lines per language: the slowest model needs 3 ms per line."""


@dataclass(slots=True)
class Spoken:
    """Languages of the first texts that are declared as one language."""

    asked: Sequence[str]
    """The models; none if the script is enough, or no model supports the language."""
    covered: bool
    texts: int = 0
    """Texts examined, undecided ones included."""
    lines: Counter[str] = field(default_factory=Counter)
    """Lines by detected language or script, the declared one included."""
    silent: int = 0
    """Lines that are too short or undecided."""
    odd: Counter[str] = field(default_factory=Counter)
    """Detected other language -> texts."""
    first: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Detected other language -> place and beginning of the first such text."""


def can_judge() -> bool:
    """Return whether the models of the extra `langid` are installed."""
    return not lacking("langid")


def languages_in(seen: Look, *, claimed: Sequence[str]) -> Mapping[str, Spoken]:
    """Identify the languages of the first texts of a look; `claimed`: the languages of the card.

    Ask `can_judge` first: raises DataError if a model of the extra `langid` is not installed.
    """
    from finetune.identify.identifier import make_identifier

    identifier = make_identifier(claimed, settings=SETTINGS)
    by_language = {}
    for language, texts in seen.first.items():
        coverage = identifier.coverage[language]
        spoken = Spoken([voter.model for voter in coverage.voters], coverage.covered)
        for where, text in texts:
            if spoken.lines.total() + spoken.silent >= LOOK_LINES:
                break
            _judge(spoken, text, where=where, claimed=language, identifier=identifier)
        by_language[language] = spoken
    return by_language


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
    # texts in another script are a finding of their own
    if odd_reason(judged, share=SETTINGS.drop_share) == "other-language":
        name = min(others, key=lambda one: (-others[one], one))
        spoken.odd[name] += 1
        spoken.first.setdefault(name, (where, shown(text)))
