"""What owners permit: the part of licence arithmetic that stands in cards beside the licence.

Consent that ended, uses that are not permitted, licences that nobody established, access that
somebody has to grant, corpora that were taken back, and licences of communities. Every message
names the card and the clause.
Imports nothing heavy, because `finetune check` calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from finetune.errors import RecipeError, ReleaseError
from finetune.spec.card import DataCard
from finetune.spec.licence import (
    NON_COMMERCIAL,
    NON_COMMERCIAL_SHARE_ALIKE,
    allowed_licence,
    check_name,
)
from finetune.spec.recipe import Recipe
from finetune.spec.text_checks import PersonalData

_NOODL = "NOODL: permissive in the Global South, benefit sharing asked from high-income countries"
COMMUNITY: Mapping[str, str] = {
    "esethu": "Esethu: terms of the language's own community",
    "kaitiakitanga": "Kaitiakitanga: guardianship; the community decides on access",
    "noodl": _NOODL,
    "nwulite": _NOODL,
}
"""Licences of communities by a word of their name. None is in the Hub's list, all bind the user, so
their cards need `access` that asks for agreement."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an adapter may be: its licence, why, and who has to agree before using it."""

    licence: str
    reasons: tuple[str, ...]
    gate: tuple[str, ...] = ()
    """Conditions of access that the adapter carries on, a sentence a card; empty if it is open."""


def standing(cards: Mapping[str, DataCard]) -> dict[str, DataCard]:
    """Return the cards that were not taken back: of the others nothing is used."""
    return {name: card for name, card in cards.items() if not card.is_withdrawn}


def refuse_training(cards: Mapping[str, DataCard], *, today: date) -> None:
    """Raise RecipeError with every card on which nothing may be trained (now)."""
    problems: list[str] = []
    for name, card in standing(cards).items():
        problems += _expired(name, card, today=today)
        problems += _not_permitted(name, card, "train-models", "no model may be trained on it")
    if cards and not standing(cards):
        problems.append(
            f"every card was withdrawn ({', '.join(sorted(cards))}); there is nothing to train on"
        )
    if problems:
        raise RecipeError(*problems)


def adapter_terms(
    base_licence: str, cards: Mapping[str, DataCard], *, wanted: str, today: date
) -> Terms:
    """Return what an adapter of this base and these cards may be.

    Raises ReleaseError with every refusal: consent ended, publishing not permitted, licence not
    established, community licence without access conditions, or licences that contradict.
    """
    used = standing(cards)
    problems: list[str] = []
    unclear: list[str] = []
    for name, card in used.items():
        problems += _expired(name, card, today=today)
        problems += _not_permitted(
            name, card, "publish-models", "an adapter trained on it may not be released"
        )
        unclear += _licence_problems(name, card, wanted=wanted)
    problems += unclear
    try:
        licence, reasons = allowed_licence(base_licence, _licences(used), wanted=wanted)
    except ReleaseError as error:
        problems += [] if unclear else [str(error)]  # it may be another one once that is clear
    if problems:
        raise ReleaseError("\n".join(problems))
    return Terms(licence, reasons, gate=tuple(_gates(used)))


def terms_of(recipe: Recipe, cards: Mapping[str, DataCard], *, today: date) -> Terms | None:
    """Return what the adapter of a recipe may be; None if the recipe releases nothing.

    Raises ReleaseError with every refusal.
    """
    if not recipe.is_released:
        return None
    base, wanted = recipe.base.licence, recipe.released.licence
    problems: list[str] = []
    try:
        check_name(base, recipe.released.repo)
    except ReleaseError as error:
        problems.append(str(error))
    try:
        terms = adapter_terms(base, cards, wanted=wanted, today=today)
    except ReleaseError as error:
        problems.append(str(error))
    if problems:
        raise ReleaseError("\n".join(problems))
    return terms


def _expired(name: str, card: DataCard, *, today: date) -> Iterable[str]:
    day = card.corpus.consent.expires
    if day is not None and day < today:
        yield (
            f"data card {name!r}: consent.expires: the consent ended on {day}. Ask its "
            "contributors again and write the new day, or take the card out of the recipe."
        )


def _not_permitted(name: str, card: DataCard, use: str, effect: str) -> Iterable[str]:
    permitted = card.corpus.permitted_uses
    if permitted and use not in permitted:
        yield (
            f"data card {name!r}: permitted_uses: its owners permit {', '.join(permitted)} and not "
            f"{use}, so {effect}. Ask {card.corpus.contact or 'them'}, or take the card out of the "
            "recipe."
        )


def _licence_problems(name: str, card: DataCard, *, wanted: str) -> Iterable[str]:
    if "license" in card.corpus.not_established:
        yield (
            f"data card {name!r}: license: {card.license!r} was not established (not_established "
            "says so). Ask its owners, write what they say, and take the line out."
        )
    elif card.license == "other":
        yield from _community_problems(name, card, wanted=wanted)


def _community_problems(name: str, card: DataCard, *, wanted: str) -> Iterable[str]:
    known = community_of(card)
    if known and card.corpus.access.kind == "open":
        yield (
            f"data card {name!r}: access: the licence {card.license_name!r} ({known}) binds "
            "whoever uses the texts, but the card says that access is open. Write `access: {kind: "
            "agree, conditions: ...}`, or `kind: ask` if the community decides on each request."
        )
    if wanted != "other":
        described = f" ({known})" if known else ""
        yield (
            f"data card {name!r}: license_name: {card.license_name!r}{described} has terms of its "
            f"own: {card.license_link}. Read them; if they allow releasing an adapter, set "
            "release.licence: other, and the release carries them on."
        )


def community_of(card: DataCard) -> str | None:
    """Return what is known of a card's community licence, or None if it is no known one."""
    name = (card.license_name or "").lower() if card.license == "other" else ""
    return next((said for word, said in COMMUNITY.items() if word in name), None)


def _licences(cards: Mapping[str, DataCard]) -> dict[str, str]:
    """Return the licence by card, and a non-commercial one where owners permit no commerce."""
    found = {name: card.license for name, card in cards.items()}
    for name, card in cards.items():
        permitted = card.corpus.permitted_uses
        free = card.license not in {*NON_COMMERCIAL, *NON_COMMERCIAL_SHARE_ALIKE}
        if permitted and "commercial" not in permitted and free:
            found[f"{name}: permitted_uses without commercial"] = "cc-by-nc-4.0"
    return found


def _gates(cards: Mapping[str, DataCard]) -> Iterable[str]:
    for card in cards.values():
        access = card.corpus.access
        if access.kind == "open":
            continue
        who = "Ask its owners first" if access.kind == "ask" else "You have to agree"
        parts = [f"{card.pretty_name}: {who}"]
        parts += [access.conditions] if access.conditions else []
        parts += [f"contact: {card.corpus.contact}"] if card.corpus.contact else []
        if card.license == "other":
            parts.append(f"licence: {card.license_name}, {card.license_link}")
        yield "; ".join(parts)


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
