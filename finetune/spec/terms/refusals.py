"""Refusals by terms of communities: uses, publication, copies; each with the line of the card."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from finetune.errors import RecipeError, ReleaseError
from finetune.messages import Place, Problem, Sentence, phrase, problem, sentence
from finetune.spec.card import DataCard
from finetune.spec.terms.card_lines import place_in_card
from finetune.spec.terms.strictest import CardTerms, card_terms
from finetune.spec.terms.term_sentences import use_said


def refuse_forbidden_use(intended_use: str, cards: Mapping[str, DataCard], *, at: Place) -> None:
    """Raise RecipeError for each card that forbids the use that a recipe is made for.

    `at` is the place of `intended_use` in the recipe.
    """
    problems = []
    for card, terms in _with_terms(cards):
        if intended_use in terms.forbidden_uses:
            where = phrase(str(replace(_place_of_use(card, terms, intended_use), key="")))
            problems.append(
                problem(
                    "forbidden-use",
                    "the recipe is made for {use} (`intended_use: {name}`), and card {card!r} "
                    "forbids it ({where}); ask {authority}, or take the card out of the recipe",
                    at=at,
                    use=use_said(intended_use),
                    name=intended_use,
                    card=card.name,
                    where=where,
                    authority=_authority(card),
                )
            )
    if problems:
        raise RecipeError(*problems)


def publication_problems(repo: str, cards: Mapping[str, DataCard]) -> Iterator[Problem]:
    """Yield a problem for each card whose terms forbid that everyone may have the adapter."""
    for card, terms in _with_terms(cards):
        if terms.adapters == "public":
            continue
        at = _located(card, terms, "adapters")
        if terms.adapters == "private":
            yield problem(
                "terms-no-public",
                "adapters of these texts are not public ({terms}), so {repo} is published "
                "privately or not at all; ask {authority}, and write its answer under {key}",
                at=at,
                terms=_basis(terms),
                repo=repo,
                authority=_authority(card),
                key="`corpus.terms.granted`",
            )
        else:
            yield problem(
                "terms-gated",
                "adapters of these texts are not for everyone ({terms}: {level}), so {repo} is "
                "published privately first; turn on gated access in the settings of the "
                "repository, with the text of its model card, before it is visible",
                at=at,
                terms=_basis(terms),
                level=terms.adapters,
                repo=repo,
            )


def copy_problems(cards: Mapping[str, DataCard], *, instead: Sentence) -> Iterator[Problem]:
    """Yield a problem for each card whose texts may not be copied to other places.

    `instead`: another way out than the permission of the authority.
    """
    for card, terms in _with_terms(cards):
        if terms.rehosting != "allowed":
            yield problem(
                "terms-no-copies",
                "the texts may not be copied to other places without permission ({terms}: "
                "{level}); ask {authority}, and write its answer under {key}{instead}",
                at=_located(card, terms, "rehosting"),
                terms=_basis(terms),
                level=terms.rehosting,
                authority=_authority(card),
                key="`corpus.terms.granted`",
                instead=instead,
            )


def refuse_copies(cards: Mapping[str, DataCard], *, instead: Sentence) -> None:
    """Raise ReleaseError with what `copy_problems` finds."""
    if problems := list(copy_problems(cards, instead=instead)):
        raise ReleaseError(*problems)


def may_be_copied(card: DataCard) -> bool:
    """Return whether the terms of a card permit copies of its texts in other places."""
    terms = card_terms(card)
    return terms is None or terms.rehosting == "allowed"


def _with_terms(cards: Mapping[str, DataCard]) -> Iterable[tuple[DataCard, CardTerms]]:
    for _, card in sorted(cards.items()):
        terms = None if card.is_withdrawn else card_terms(card)
        if terms is not None:
            yield card, terms


def _located(card: DataCard, terms: CardTerms, key: str) -> Place:
    """Return the line of the card that states a term: the key, or the name of the licence."""
    written = key in terms.stated.model_fields_set
    if written or terms.licence is None:
        return place_in_card(card.path, ("corpus", "terms", key))
    return place_in_card(card.path, ("license_name",))


def _place_of_use(card: DataCard, terms: CardTerms, use: str) -> Place:
    """Return the line of a forbidden use: its own, or that of the licence."""
    if use not in terms.stated.forbidden_uses:
        return place_in_card(card.path, ("license_name",))
    number = terms.stated.forbidden_uses.index(use)
    return place_in_card(card.path, ("corpus", "terms", "forbidden_uses", number))


def _basis(terms: CardTerms) -> Sentence:
    if terms.licence is None:
        return sentence("terms of its community")
    return sentence("licence {name}", name=terms.licence.name)


def _authority(card: DataCard) -> Sentence:
    stated = card.corpus.terms.authority if card.corpus.terms else None
    contact = (stated.contact if stated else "") or card.corpus.contact
    if stated and contact:
        return sentence("{who} ({contact})", who=stated.who, contact=contact)
    if stated or contact:
        return phrase(stated.who if stated else contact)
    return sentence("its owners")
