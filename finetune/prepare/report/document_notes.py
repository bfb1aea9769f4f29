"""Documents that are held out as a whole: their counts, and what is said about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from finetune.artefacts.other_documents import DocumentCounts, limits
from finetune.messages import Sentence, counted, sentence
from finetune.prepare.ledger import Ledger


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
    found = list(found)
    for one in found:
        if one.held_out and one.documents:
            yield sentence(
                "{card}: {held} of {documents} held out as a whole, with {texts} "
                "({share:.0%} of the card's); `hold_out_documents: none` splits them text by text",
                card=one.card,
                held=one.held_out,
                documents=counted("{count} document", "{count} documents", one.documents),
                texts=counted("{count} text", "{count} texts", one.texts),
                share=one.share,
            )
    yield from limits(found)
