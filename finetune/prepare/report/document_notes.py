"""Documents that are held out as a whole: their counts, and what is said about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from finetune.artefacts.results import DocumentCounts
from finetune.messages import Sentence, counted, sentence
from finetune.prepare.ledger import Ledger

NAMES_SHOWN = 3
"""Names of cards in a line; of more, the number is shown."""


def document_counts(ledger: Ledger) -> tuple[DocumentCounts, ...]:
    """Return the counts of each card."""
    found = []
    for card, documents in ledger.documents.items():
        texts = ledger.in_whole_documents[card]
        kept = sum(number for (name, _, _), number in ledger.kept.items() if name == card)
        found.append(
            DocumentCounts(
                card,
                documents.count,
                len(documents.held_out),
                texts,
                round(texts / max(kept, 1), 4),
                documents.why,
            )
        )
    return tuple(found)


def document_facts(ledger: Ledger) -> list[dict[str, Any]]:
    """Return the counts as plain data for report.json, with the names of what is held out."""
    return [
        asdict(one) | {"names": sorted(ledger.documents[one.card].held_out)}
        for one in document_counts(ledger)
    ]


def document_lines(found: Iterable[DocumentCounts]) -> Iterator[Sentence]:
    """Yield a line per card with held-out documents, and one for all cards with too few."""
    cards: dict[str, list[str]] = {"one": [], "few": []}
    for one in found:
        if one.held_out and one.documents:
            yield sentence(
                "{card}: {held} of {documents} held out as a whole, with {texts} "
                "({share:.0%}) that training lacks; `hold_out_documents: none` gives them back",
                card=one.card,
                held=one.held_out,
                documents=counted("{count} document", "{count} documents", one.documents),
                texts=counted("{count} text", "{count} texts", one.texts),
                share=one.share,
            )
        elif one.why in cards:
            cards[one.why].append(one.card)
    if cards["one"]:
        yield sentence(
            "{cards}: one document each, so nothing can be said about texts of other documents",
            cards=_some(cards["one"]),
        )
    if cards["few"]:
        yield sentence(
            "{cards}: two or three documents each, and none is held out as a whole "
            "(`hold_out_documents: always` holds out one)",
            cards=_some(cards["few"]),
        )


def _some(names: Sequence[str]) -> list[str | Sentence]:
    """Return names of cards for a list: the first ones, and the number of the others."""
    if len(names) <= NAMES_SHOWN + 1:
        return list(names)
    more = counted("{count} more card", "{count} more cards", len(names) - NAMES_SHOWN)
    return [*names[:NAMES_SHOWN], more]
