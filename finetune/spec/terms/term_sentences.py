"""Terms of communities as sentences, for cards, gates, notices and the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from finetune.messages import Sentence, joined, phrase, sentence
from finetune.spec.sections.community_terms import NAMED_USES
from finetune.spec.terms.community_licences import LICENCES
from finetune.spec.terms.strictest import (
    Owned,
    OwnedAuthority,
    OwnedGroup,
    OwnedLabel,
    StrictestTerms,
)

TERMS_HEADING = sentence(
    "The communities behind the texts set these terms; where several differ, the strictest holds, "
    "and its owners are named:"
)
_MAY: Mapping[str, Sentence] = {
    "use": sentence("may use it"),
    "ask": sentence("have to ask first"),
    "not-use": sentence("may not use it"),
}


def said_of_terms(terms: StrictestTerms) -> tuple[Sentence, ...]:
    """Return every term with its owners, the strictest first."""
    return tuple(_said(terms))


def _said(terms: StrictestTerms) -> Iterator[Sentence]:
    if terms.is_gated:
        yield recipients_said(terms.adapters)
    for use in terms.forbidden_uses:
        yield sentence(
            "Not permitted: {use} ({owners}).", use=use_said(use.what), owners=list(use.owners)
        )
    yield from map(_group_said, terms.users)
    for asked in terms.reinvestment:
        what = asked.what.rstrip(".")
        yield sentence("Asked in return: {what} ({owners}).", what=what, owners=list(asked.owners))
    if terms.rehosting.what != "allowed":
        yield rehosting_said(terms.rehosting)
    yield from map(_licence_said, terms.licences)
    for granted in terms.granted:
        yield sentence(
            "Permission of {by}, {day}: {statement} ({owners}).",
            by=granted.by,
            day=granted.on,
            statement=granted.statement.rstrip("."),
            owners=list(granted.owners),
        )
    yield from map(_authority_said, terms.authorities)
    yield from map(_label_said, terms.labels)


def recipients_said(adapters: Owned) -> Sentence:
    """Return who may have an adapter."""
    owners = list(adapters.owners)
    if adapters.what == "agree":
        return sentence("Only for those who accept these terms ({owners}).", owners=owners)
    if adapters.what == "ask":
        return sentence("Only for those whose request was granted ({owners}).", owners=owners)
    if adapters.what == "private":
        return sentence("Not to be made public ({owners}).", owners=owners)
    return sentence("For everyone ({owners}).", owners=owners)


def rehosting_said(rehosting: Owned) -> Sentence:
    """Return where copies of the texts may lie."""
    owners = list(rehosting.owners)
    if rehosting.what == "forbidden":
        return sentence("The texts may not be copied to other places ({owners}).", owners=owners)
    if rehosting.what == "ask":
        return sentence(
            "The texts may be copied to other places only with permission ({owners}).",
            owners=owners,
        )
    return sentence("The texts may be copied to other places ({owners}).", owners=owners)


def use_said(use: str) -> Sentence:
    """Return a use in words."""
    return NAMED_USES.get(use) or phrase(use.rstrip("."))


def _group_said(group: OwnedGroup) -> Sentence:
    who, owners = group.who.rstrip("."), list(group.owners)
    if not group.conditions:
        return sentence("{who}: {may} ({owners}).", who=who, may=_MAY[group.may], owners=owners)
    return sentence(
        "{who}: {may}; {conditions} ({owners}).",
        who=who,
        may=_MAY[group.may],
        conditions=group.conditions.rstrip("."),
        owners=owners,
    )


def _licence_said(owned: Owned) -> Sentence:
    row = LICENCES[owned.what]
    name = sentence(
        "Licence {name} ({owners}), to be read at {page}.",
        name=row.name,
        owners=list(owned.owners),
        page=row.page,
    )
    if row.is_text:
        source = sentence("What it says, in short (read {day}):", day=row.read_on.isoformat())
    else:
        source = sentence(
            "Its text could not be read, so it counts as restrictive (others on it, read {day}):",
            day=row.read_on.isoformat(),
        )
    return joined([name, source, *row.says])


def _authority_said(authority: OwnedAuthority) -> Sentence:
    ways = [way for way in (authority.contact, authority.page) if way]
    if not ways:
        return sentence(
            "{who} decides on {corpora}.", who=authority.who, corpora=list(authority.owners)
        )
    return sentence(
        "{who} decides on {corpora}: {ways}.",
        who=authority.who,
        corpora=list(authority.owners),
        ways=ways,
    )


def _label_said(label: OwnedLabel) -> Sentence:
    facts = {"name": label.name or label.id, "id": label.id, "page": label.url}
    owners = list(label.owners)
    if not label.text:
        return sentence(
            "Local Contexts label {name} ({id}), {page} ({owners}).", owners=owners, **facts
        )
    return sentence(
        "Local Contexts label {name} ({id}), {page} ({owners}): “{text}” (copied from {source} on "
        "{day}).",
        owners=owners,
        text=label.text,
        source=label.text_source,
        day=label.text_date,
        **facts,
    )
