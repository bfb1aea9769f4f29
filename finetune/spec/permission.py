"""Permissions of owners: consent, permitted uses, access and licences of communities in cards.

They complete the licence arithmetic: consent that ended, uses that are not permitted, licences
that are not established, access on request, withdrawn corpora. Every problem names the card and
the clause.
Imports nothing heavy, because `finetune check` calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from finetune.errors import RecipeError, ReleaseError
from finetune.messages import Place, Problem, Sentence, joined, phrase, problem, sentence
from finetune.spec.card import DataCard
from finetune.spec.licence import (
    NON_COMMERCIAL,
    NON_COMMERCIAL_SHARE_ALIKE,
    allowed_licence,
    check_name,
)
from finetune.spec.recipe import Recipe
from finetune.spec.sections.text_checks import PersonalData
from finetune.spec.terms.community_licences import CommunityLicence, licence_named
from finetune.spec.terms.refusals import may_be_copied
from finetune.spec.terms.strictest import StrictestTerms, card_terms, strictest_terms


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of an adapter: licence, reasons, and conditions of access."""

    licence: str
    reasons: tuple[Sentence, ...]
    gate: tuple[Sentence, ...] = ()
    """Access conditions that the adapter inherits, one sentence per card; empty if it is open."""
    community: StrictestTerms | None = None
    """Terms of the communities behind the cards, the strictest of each kind."""


def standing(cards: Mapping[str, DataCard]) -> dict[str, DataCard]:
    """Return the cards that were not withdrawn; nothing of the others is used."""
    return {name: card for name, card in cards.items() if not card.is_withdrawn}


def refuse_training(cards: Mapping[str, DataCard], *, today: date) -> None:
    """Raise RecipeError with every card on which nothing may be trained (now)."""
    problems: list[Problem] = []
    for name, card in standing(cards).items():
        problems += _expired(name, card, today=today)
        effect = sentence("no model may be trained on it")
        problems += _not_permitted(name, card, "train-models", effect)
    if cards and not standing(cards):
        problems.append(all_withdrawn(sorted(cards)))
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
    problems: list[Problem] = []
    unclear: list[Problem] = []
    for name, card in used.items():
        problems += _expired(name, card, today=today)
        effect = sentence("an adapter trained on it may not be released")
        problems += _not_permitted(name, card, "publish-models", effect)
        unclear += _licence_problems(name, card, wanted=wanted)
    problems += unclear
    try:
        licence, reasons = allowed_licence(base_licence, _licences(used), wanted=wanted)
    except ReleaseError as error:
        problems += () if unclear else error.problems  # it may be another one once that is clear
    if problems:
        raise ReleaseError(*problems)
    return Terms(licence, reasons, gate=tuple(_gates(used)), community=strictest_terms(used))


def terms_of(recipe: Recipe, cards: Mapping[str, DataCard], *, today: date) -> Terms | None:
    """Return what the adapter of a recipe may be; None if the recipe releases nothing.

    Raises ReleaseError with every refusal.
    """
    if not recipe.is_released:
        return None
    base, wanted = recipe.base.licence, recipe.released.licence
    problems: list[Problem] = []
    try:
        check_name(base, recipe.released.repo)
    except ReleaseError as error:
        problems += error.problems
    try:
        terms = adapter_terms(base, cards, wanted=wanted, today=today)
    except ReleaseError as error:
        problems += error.problems
    if problems:
        raise ReleaseError(*problems)
    return terms


def all_withdrawn(names: Sequence[str]) -> Problem:
    """Return the problem of a recipe whose cards were all withdrawn."""
    return problem(
        "all-withdrawn",
        "every card was withdrawn ({names}); there is nothing to train on",
        names=names,
    )


def _of_card(name: str, key: str) -> Place:
    return Place(part=sentence("data card {name!r}", name=name), key=key)


def _expired(name: str, card: DataCard, *, today: date) -> Iterable[Problem]:
    day = card.corpus.consent.expires
    if day is not None and day < today:
        yield problem(
            "consent-ended",
            "the consent ended on {day}; ask its contributors again and write the new day, or "
            "take the card out of the recipe",
            at=_of_card(name, "consent.expires"),
            day=day.isoformat(),
        )


def _not_permitted(name: str, card: DataCard, use: str, effect: Sentence) -> Iterable[Problem]:
    permitted = card.corpus.permitted_uses
    if permitted and use not in permitted:
        contact = card.corpus.contact
        yield problem(
            "use-not-permitted",
            "its owners permit {permitted} and not {use}, so {effect}; ask {contact}, or take the "
            "card out of the recipe",
            at=_of_card(name, "permitted_uses"),
            permitted=permitted,
            use=use,
            effect=effect,
            contact=phrase(contact) if contact else sentence("them"),
        )


def _licence_problems(name: str, card: DataCard, *, wanted: str) -> Iterable[Problem]:
    if "license" in card.corpus.not_established:
        yield problem(
            "licence-not-established",
            "{licence!r} was not established (see not_established); ask its owners, write their "
            "answer, and remove the line",
            at=_of_card(name, "license"),
            licence=card.license,
        )
    elif card.license == "other":
        yield from _community_problems(name, card, wanted=wanted)


def _community_problems(name: str, card: DataCard, *, wanted: str) -> Iterable[Problem]:
    known = community_of(card)
    if known and card.corpus.access.kind == "open":
        yield problem(
            "open-community-licence",
            "the licence {licence!r} ({terms}) binds every user of the texts, but access is open; "
            "write {agree}, or `kind: ask` if the community decides on each request",
            at=_of_card(name, "access"),
            licence=card.license_name,
            terms=joined(known.says),
            agree="`access: {kind: agree, conditions: ...}`",
        )
    if wanted != "other":
        yield problem(
            "licence-of-own-terms",
            "{licence!r}{known} has terms of its own: {link}. Read them; if they allow the release "
            "of an adapter, set release.licence: other, and the release carries them on",
            at=_of_card(name, "license_name"),
            licence=card.license_name,
            known=phrase(f" ({known.name})" if known else ""),
            link=card.license_link,
        )


def community_of(card: DataCard) -> CommunityLicence | None:
    """Return the known community licence of a card, or None."""
    return licence_named(card.license_name) if card.license == "other" else None


def _licences(cards: Mapping[str, DataCard]) -> dict[str, str]:
    """Return the licence by card, and a non-commercial one where owners permit no commerce."""
    found = {name: card.license for name, card in cards.items()}
    for name, card in cards.items():
        permitted = card.corpus.permitted_uses
        free = card.license not in {*NON_COMMERCIAL, *NON_COMMERCIAL_SHARE_ALIKE}
        if permitted and "commercial" not in permitted and free:
            found[f"{name}: permitted_uses without commercial"] = "cc-by-nc-4.0"
        terms = card_terms(card)
        if terms and "commercial" in terms.forbidden_uses and free:
            found[f"{name}: forbidden_uses with commercial"] = "cc-by-nc-4.0"
    return found


_WHO: Mapping[str, Sentence] = {
    "agree": sentence("You have to agree"),
    "ask": sentence("Ask its owners first"),
    "internal": sentence("Only for its owner's own use"),
}


def _gates(cards: Mapping[str, DataCard]) -> Iterable[Sentence]:
    for card in cards.values():
        access = card.corpus.access
        if access.kind == "open":
            continue
        parts = [sentence("{title}: {who}", title=card.pretty_name, who=_WHO[access.kind])]
        parts += [phrase(access.conditions)] if access.conditions else []
        if card.corpus.contact:
            parts.append(sentence("contact: {contact}", contact=card.corpus.contact))
        if card.license == "other":
            named = {"name": card.license_name, "link": card.license_link}
            parts.append(sentence("licence: {name}, {link}", **named))
        yield joined(parts, between="; ")


def may_be_passed_on(card: DataCard) -> bool:
    """Return whether access to the texts is open, and their owners permit passing them on."""
    permitted = card.corpus.permitted_uses
    is_shared = not permitted or "share" in permitted
    return card.corpus.access.kind == "open" and is_shared and may_be_copied(card)


def passed_on(cards: Mapping[str, DataCard]) -> list[str]:
    """Return the cards whose test texts may stand in a file that others are given."""
    return sorted(
        name
        for name, card in cards.items()
        if may_be_passed_on(card)
        and card.corpus.personal_data != "present"
        and not card.is_withdrawn
    )


AGREED = frozenset(("written", "spoken", "community"))
"""Bases of consent on which people's names may stay in their texts."""


def personal_problems(card: DataCard, settings: PersonalData) -> list[Problem]:
    """Return where a recipe protects people less than a card requires.

    A card without a statement on names is not rejected; see `unlooked_for`.
    """
    block = card.corpus
    problems = []
    if block.personal_data in ("present", "not-stated") and settings.kept:
        problems.append(
            problem(
                "personal-data-kept",
                "{kinds}: keep, but card {card!r} states personal_data: {stated}; write mask or "
                "drop, or ask its owners to remove the data and to state it",
                at=Place(key="prepare.personal_data"),
                kinds=settings.kept,
                card=card.name,
                stated=block.personal_data,
            )
        )
    if block.personal_names == "present" and block.consent.basis not in AGREED:
        if "names" not in block.columns:
            problems.append(
                problem(
                    "names-without-column",
                    "present, without a column `names` to mask them by and without the people's "
                    "consent (consent.basis: {basis}); add {example}, replace the names, or ask "
                    "the people",
                    at=Place(card.path, key="corpus.personal_names"),
                    basis=block.consent.basis,
                    example="`columns: {names: COLUMN}`",
                )
            )
        elif settings.names == "keep":
            problems.append(
                problem(
                    "names-kept",
                    "keep, but card {card!r} names private people who did not agree; write mask "
                    "or drop",
                    at=Place(key="prepare.personal_data.names"),
                    card=card.name,
                )
            )
    return problems


def unlooked_for(card: DataCard) -> str | None:
    """Return a note on unchecked personal data of a card's texts, or None."""
    block = card.corpus
    if block.personal_names == "not-stated":
        return (
            "the card does not state whether people are named (personal_names); names are not "
            "detected"
        )
    if block.personal_names == "present" and "names" not in block.columns:
        return "private people are named and their names stay, with their consent"
    return None
