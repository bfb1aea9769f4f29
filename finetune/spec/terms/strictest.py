"""Terms of several cards together: of each kind the strictest, with its owners.

Ordered terms (recipients of adapters, copies of texts) take the strictest value; all others hold
at once, so they are added up. A card more never loosens anything. Cards without such terms, and
withdrawn ones, count for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import get_args

from finetune.spec.card import DataCard
from finetune.spec.sections.community_terms import (
    Adapters,
    Authority,
    CommunityTerms,
    Label,
    Permission,
    Rehosting,
    UserGroup,
)
from finetune.spec.terms.community_licences import CommunityLicence, licence_named

ADAPTERS: tuple[Adapters, ...] = get_args(Adapters)
REHOSTING: tuple[Rehosting, ...] = get_args(Rehosting)


@dataclass(frozen=True, slots=True)
class Owned:
    """A term, and the owners who state it."""

    what: str
    owners: tuple[str, ...]
    """`AUTHORITY (CARD)` each; without an authority the title of the card."""


@dataclass(frozen=True, slots=True)
class OwnedGroup:
    """Conditions for a group of users."""

    who: str
    may: str
    conditions: str
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnedAuthority:
    """Authority of a card, and the way to reach it."""

    who: str
    contact: str
    page: str
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnedLabel:
    """Label of Local Contexts; its text is unchanged, with source and day."""

    id: str
    url: str
    name: str
    text: str
    text_source: str
    text_date: str
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnedPermission:
    """Permission of an authority."""

    by: str
    on: str
    statement: str
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StrictestTerms:
    """Terms of the communities behind an adapter."""

    adapters: Owned
    rehosting: Owned
    licences: tuple[Owned, ...] = ()
    """Names of community licences in finetune/spec/terms/community_licences.py."""
    authorities: tuple[OwnedAuthority, ...] = ()
    users: tuple[OwnedGroup, ...] = ()
    reinvestment: tuple[Owned, ...] = ()
    forbidden_uses: tuple[Owned, ...] = ()
    labels: tuple[OwnedLabel, ...] = ()
    granted: tuple[OwnedPermission, ...] = ()

    @property
    def is_gated(self) -> bool:
        """Return whether not everyone may have the adapter."""
        return self.adapters.what != ADAPTERS[0]


@dataclass(frozen=True, slots=True)
class CardTerms:
    """Terms of one card, those of its licence included."""

    adapters: Adapters
    rehosting: Rehosting
    forbidden_uses: tuple[str, ...]
    licence: CommunityLicence | None
    stated: CommunityTerms
    """As the card states them."""


def card_terms(card: DataCard) -> CardTerms | None:
    """Return the terms of a card, or None if neither it nor its licence states any.

    Without a permission of the authority, a card makes a named licence stricter, never freer.
    """
    licence = licence_named(card.license_name) if card.license == "other" else None
    stated = card.corpus.terms
    if stated is None and licence is None:
        return None
    stated = stated or CommunityTerms.with_defaults()
    adapters = [stated.adapters or "public", _least(stated)]
    rehosting: list[Rehosting] = [stated.rehosting or "allowed"]
    uses = [*stated.forbidden_uses]
    if licence:
        replaced = stated.model_fields_set if stated.granted else set()
        adapters += () if "adapters" in replaced else (licence.adapters,)
        rehosting += () if "rehosting" in replaced else (licence.rehosting,)
        uses += () if "forbidden_uses" in replaced else licence.forbidden_uses
    return CardTerms(
        adapters=max(adapters, key=ADAPTERS.index),
        rehosting=max(rehosting, key=REHOSTING.index),
        forbidden_uses=tuple(dict.fromkeys(uses)),
        licence=licence,
        stated=stated,
    )


def _least(stated: CommunityTerms) -> Adapters:
    """Return the recipients whom conditions allow: users who never see them cannot keep them."""
    if any(group.may == "ask" for group in stated.users):
        return "ask"
    bound = any(group.may == "not-use" or group.conditions for group in stated.users)
    others = [use for use in stated.forbidden_uses if use != "commercial"]  # it is in the licence
    return "agree" if bound or others or stated.reinvestment else "public"


def strictest_terms(cards: Mapping[str, DataCard]) -> StrictestTerms | None:
    """Return the terms that hold for an adapter of these cards; None if no card has any."""
    found = [
        (owner_of(card), terms)
        for _, card in sorted(cards.items())
        if not card.is_withdrawn and (terms := card_terms(card))
    ]
    if not found:
        return None
    adapters = max((terms.adapters for _, terms in found), key=ADAPTERS.index)
    rehosting = max((terms.rehosting for _, terms in found), key=REHOSTING.index)
    return StrictestTerms(
        adapters=Owned(adapters, tuple(o for o, t in found if t.adapters == adapters)),
        rehosting=Owned(rehosting, tuple(o for o, t in found if t.rehosting == rehosting)),
        licences=_added((o, t.licence.name) for o, t in found if t.licence),
        authorities=_authorities(cards),
        users=tuple(_group(owner, one) for owner, terms in found for one in terms.stated.users),
        reinvestment=_added((o, t.stated.reinvestment) for o, t in found if t.stated.reinvestment),
        forbidden_uses=_added((o, use) for o, terms in found for use in terms.forbidden_uses),
        labels=tuple(_label(owner, one) for owner, terms in found for one in terms.stated.labels),
        granted=tuple(
            _permission(owner, terms.stated.granted)
            for owner, terms in found
            if terms.stated.granted
        ),
    )


def strings_of_terms(terms: StrictestTerms | None) -> list[str]:
    """Return every text that owners wrote into terms which are published."""
    found: list[str] = []
    waiting: list[object] = [asdict(terms)] if terms else []
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found += [value] if value else []
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
    return sorted(set(found))


def owner_of(card: DataCard) -> str:
    """Return the owner of a card's terms as releases name it: its authority, or its title."""
    authority = card.corpus.terms.authority if card.corpus.terms else None
    return f"{authority.who if authority else card.pretty_name} ({card.name})"


def _added(pairs: Iterable[tuple[str, str]]) -> tuple[Owned, ...]:
    """Return each text once, with everyone who states it."""
    owners: dict[str, list[str]] = {}
    for owner, what in pairs:
        owners.setdefault(what, []).append(owner)
    return tuple(Owned(what, tuple(several)) for what, several in owners.items())


def _authorities(cards: Mapping[str, DataCard]) -> tuple[OwnedAuthority, ...]:
    found = []
    for _, card in sorted(cards.items()):
        authority = card.corpus.terms.authority if card.corpus.terms else None
        if authority and not card.is_withdrawn:
            found.append(_authority(card, authority))
    return tuple(found)


def _authority(card: DataCard, authority: Authority) -> OwnedAuthority:
    return OwnedAuthority(
        who=authority.who,
        contact=authority.contact or card.corpus.contact,
        page=authority.page or "",
        owners=(f"{card.pretty_name} ({card.name})",),
    )


def _group(owner: str, group: UserGroup) -> OwnedGroup:
    return OwnedGroup(group.who, group.may, group.conditions, (owner,))


def _label(owner: str, label: Label) -> OwnedLabel:
    return OwnedLabel(
        id=label.id,
        url=label.url,
        name=label.name,
        text=label.text,
        text_source=label.text_source or "",
        text_date=label.text_date.isoformat() if label.text_date else "",
        owners=(owner,),
    )


def _permission(owner: str, granted: Permission) -> OwnedPermission:
    return OwnedPermission(granted.by, granted.on.isoformat(), granted.statement, (owner,))
