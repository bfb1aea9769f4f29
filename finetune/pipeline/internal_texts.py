"""Texts that stay with their owner: places to which nothing made of them is published.

A card states this by `access: {kind: internal}`. A folder, or a private repository on a server that
`HF_ENDPOINT` names, is the owner's; the public Hub and every public repository are not. No option
and no gate of a recipe changes that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from finetune.errors import ReleaseError
from finetune.messages import Place, Problem, problem
from finetune.spec.card import DataCard
from finetune.spec.permission import standing
from finetune.spec.sections.publish import Publish
from finetune.spec.values.web_address import host_of

PUBLIC_HUBS = ("huggingface.co", "hf.co")


def refuse_outside(cards: Mapping[str, DataCard], settings: Publish) -> None:
    """Raise ReleaseError if a card is internal and its adapter would leave its owner."""
    problems: list[Problem] = []
    for name, card in standing(cards).items():
        problems += outside(name, card, hub=settings.hub, public=not settings.private)
    if problems:
        raise ReleaseError(*problems)


def outside(
    name: str, card: DataCard, *, hub: Literal["directory", "huggingface"], public: bool
) -> Iterator[Problem]:
    """Yield what is wrong with a place for what is made of a card's texts."""
    if card.corpus.access.kind != "internal" or hub == "directory":
        return
    if public:
        yield problem(
            "internal-public",
            "the texts of data card {name!r} are internal, so nothing made of them is shown to "
            "everyone; publish it privately, on a server of your own or into a folder",
            at=Place(key="publish.private"),
            name=name,
        )
    from finetune.sources.hub_fetch import endpoint  # loaded only where a card is internal

    address = endpoint()
    host = host_of(address)
    if any(host == known or host.endswith(f".{known}") for known in PUBLIC_HUBS):
        yield problem(
            "internal-outside",
            "the texts of data card {name!r} are internal, and {address} is not a server of their "
            "owner; set HF_ENDPOINT to the address of your own server, or write {directory}",
            at=Place(key="publish.hub"),
            name=name,
            address=address,
            directory="`publish: {hub: directory}`",
        )
