"""Reasons to reject a record that need no recipe, as `prepare` decides with its defaults."""

from __future__ import annotations

from collections.abc import Sequence

from finetune.readers.content import Text, Texts, trained_turns
from finetune.readers.reasons import DROPPED, EMPTY, NO_ANSWER
from finetune.spec.card import DataCard
from finetune.spec.values.expressions import Expression
from finetune.text.normalize import normalize

BEGINNING = 64
"""Characters of a text in which a letter or digit is looked for first."""


def reason_of(texts: Texts, *, card: DataCard, dropped: Expression | None) -> str | None:
    """Return why `prepare` rejects a record whatever the recipe, or None.

    `dropped`: the card's `drop_matching`. Of more than two languages two must have a text: which
    pair is trained on, a recipe states.
    """
    is_chat = card.corpus.kind == "chat"
    trained = [texts[name] for name in trained_turns(texts)] if is_chat else list(texts.values())
    filled = [text for text in trained if not _is_blank(text)]
    if card.corpus.kind == "parallel" and len(card.corpus.languages) > 2:
        if len(filled) < 2:
            return EMPTY
    elif not trained or len(filled) < len(trained):
        return EMPTY
    if dropped is not None and any(dropped.search(_clean(text)) for text in filled):
        return DROPPED
    if is_chat and not _has_answer([text.role for text in trained]):
        return NO_ANSWER
    return None


def _has_answer(roles: Sequence[str]) -> bool:
    return roles[0] != "assistant" and "assistant" in roles


def _is_blank(text: Text) -> bool:
    beginning = text.text[:BEGINNING]
    return not any(map(str.isalnum, beginning)) and not _clean(text)


def _clean(text: Text) -> str:
    return normalize(text.text, language=text.language).text
