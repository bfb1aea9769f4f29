"""What a card declares about personal data, and what follows for a recipe that uses it."""

from __future__ import annotations

from finetune.spec.card import DataCard
from finetune.spec.text_checks import PersonalData

AGREED = frozenset(("written", "spoken", "community"))
"""Bases of consent on which people's names may stay in their texts."""


def personal_problems(card: DataCard, settings: PersonalData) -> list[str]:
    """Say where a recipe does less for people than a card makes necessary.

    A card that says nothing of names is not refused: `unlooked_for` says what that means.
    """
    block = card.corpus
    problems = []
    if block.personal_data == "present" and settings.kept:
        problems.append(
            f"prepare.personal_data: {', '.join(settings.kept)}: keep, but card {card.name!r} says "
            "personal_data: present; write mask or drop, or ask its owners to remove the data and "
            "to say so"
        )
    if block.personal_names == "present" and block.consent.basis not in AGREED:
        if "names" not in block.columns:
            problems.append(
                f"{card.path}: corpus.personal_names: present, without a column `names` to mask "
                f"them by and without the people's consent (consent.basis: {block.consent.basis}); "
                "add `columns: {names: COLUMN}`, replace the names, or ask the people"
            )
        elif settings.names == "keep":
            problems.append(
                f"prepare.personal_data.names: keep, but card {card.name!r} names private people "
                "who did not agree; write mask or drop"
            )
    return problems


def unlooked_for(card: DataCard) -> str | None:
    """Return what nobody checked in a card's texts, in a sentence, or None."""
    block = card.corpus
    if block.personal_names == "not-stated":
        return (
            "the card does not say whether people are named (personal_names), and names are not "
            "looked for"
        )
    if block.personal_names == "present" and "names" not in block.columns:
        return "private people are named and their names stay, with their consent"
    return None
