"""Findings about what a card permits: licence, consent, withdrawals, uses, access."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from finetune.cards.check.finding import Finding, Level
from finetune.messages import Problem, Sentence, problem, sentence
from finetune.spec import licence as licences
from finetune.spec.card import DataCard
from finetune.spec.permission import community_of

USES: Mapping[str, Sentence] = {
    "train-models": sentence("training models"),
    "publish-models": sentence("publishing models"),
    "commercial": sentence("commercial use"),
    "share": sentence("passing the texts on"),
}
EFFECTS: Mapping[str, Sentence] = {
    "train-models": sentence("No recipe runs with this card."),
    "publish-models": sentence("A model may be trained for your own use, but not released."),
    "commercial": sentence("A released model is marked as non-commercial."),
    "share": sentence("`finetune cards publish` refuses."),
}
ACCESS: Mapping[str, Sentence] = {
    "open": sentence("open"),
    "agree": sentence("for everyone who accepts the conditions"),
    "ask": sentence("the owners decide on each request"),
    "internal": sentence("the owner's own machines and servers only"),
}


def permission_findings(card: DataCard, *, today: date) -> Iterator[Finding]:
    """Yield the findings about licence, consent and terms of use."""
    yield from _licence(card)
    yield from _restrictions(card)
    yield from _consent(card, today=today)
    yield from _withdrawals(card)
    yield from _uses(card)
    yield from _access(card)


def _licence(card: DataCard) -> Iterator[Finding]:
    if card.license not in licences.KNOWN:
        unknown = problem(
            "licence-unknown",
            "The terms of the licence {licence!r} are not known here. Write a name from the Hub's "
            "list, such as cc-by-4.0, or 'other' with license_name and license_link.",
            licence=card.license,
        )
        yield Finding("error", unknown)
    elif card.license == "other" and "license" not in card.corpus.not_established:
        terms = problem(
            "licence-community",
            "The community licence {name!r} has terms of its own ({link}). Everyone who trains on "
            "these texts must read them and accept them with `release.licence: other` in the "
            "recipe.",
            name=card.license_name,
            link=card.license_link,
        )
        yield Finding("note", terms)
        if community_of(card) and card.corpus.access.kind == "open":
            yield Finding("error", _open_community(card))
    if "license" in card.corpus.not_established:
        guessed = problem(
            "licence-guessed",
            "The licence is not established (`not_established` names it). Ask the owners before "
            "anything is published.",
        )
        yield Finding("error", guessed)


def _open_community(card: DataCard) -> Problem:
    return problem(
        "community-open",
        "The licence {name!r} binds everyone who uses the texts ({link}), but the card declares "
        "open access. Write `access: {{kind: agree}}` or `kind: ask`, with the conditions.",
        name=card.license_name,
        link=card.license_link,
    )


def _restrictions(card: DataCard) -> Iterator[Finding]:
    """Yield what a known licence forbids or asks for."""
    licence = card.license
    if licence in licences.NO_DERIVATIVES:
        forbidden = problem(
            "licence-no-derivatives",
            "The licence {licence} forbids publishing anything derived from the texts, and a model "
            "trained on them is derived from them: it may be trained, but never published.",
            licence=licence,
        )
        yield Finding("error", forbidden)
    if licence in licences.NON_COMMERCIAL | set(licences.NON_COMMERCIAL_SHARE_ALIKE):
        private = problem(
            "licence-non-commercial",
            "The licence {licence} allows no commercial use, and neither will a model trained on "
            "these texts.",
            licence=licence,
        )
        yield Finding("note", private)
    if licence in {*licences.SHARE_ALIKE, *licences.NON_COMMERCIAL_SHARE_ALIKE}:
        alike = problem(
            "licence-share-alike",
            "The licence {licence} requires the same licence for everything derived from the "
            "texts; a model trained on them will carry it.",
            licence=licence,
        )
        yield Finding("note", alike)


def _consent(card: DataCard, *, today: date) -> Iterator[Finding]:
    consent = card.corpus.consent
    if consent.expires and consent.expires < today:
        expired = problem(
            "consent-expired",
            "The consent ended on {day}. Nothing may be trained or published any more; ask the "
            "contributors again, or remove the card from the recipe.",
            day=consent.expires.isoformat(),
        )
        yield Finding("error", expired)
    if not consent.sentence:
        missing = problem(
            "consent-missing",
            "The card does not state on which basis the texts may be used. Write under `consent` "
            "who agreed to what: in writing, by word of mouth, or as a community.",
        )
        yield Finding("warning", missing)
    elif not consent.withdrawal and consent.basis not in ("licence", "public-domain"):
        missing = problem(
            "withdrawal-missing",
            "The card does not state who may withdraw texts, and how. Write it under "
            "`consent: withdrawal`.",
        )
        yield Finding("warning", missing)


def _withdrawals(card: DataCard) -> Iterator[Finding]:
    if card.is_withdrawn:
        whole = problem("withdrawn-card", "This corpus is withdrawn: nothing of it is used.")
        yield Finding("note", whole)
    elif card.withdrawn:
        some = problem(
            "withdrawn-records",
            "Withdrawn records: {count}. No run uses them.",
            count=len(card.withdrawn),
        )
        yield Finding("note", some)


def _uses(card: DataCard) -> Iterator[Finding]:
    permitted = card.corpus.permitted_uses
    for use in USES if permitted else ():
        if use not in permitted:
            level: Level = "error" if use == "train-models" else "note"
            refused = problem(
                "use-not-permitted",
                "The owners do not permit this use: {use}. {effect}",
                use=USES[use],
                effect=EFFECTS[use],
            )
            yield Finding(level, refused)


def _access(card: DataCard) -> Iterator[Finding]:
    access = card.corpus.access
    if access.kind != "open":
        restricted = problem(
            "access-restricted",
            "Access is restricted: {who}. Everyone who uses these texts needs that permission "
            "first. Conditions: {conditions}",
            who=ACCESS[access.kind],
            conditions=access.conditions or sentence("none stated"),
        )
        yield Finding("note", restricted)
