"""Documents far longer or shorter than the others of their corpus, or than their translation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from finetune.prepare.ledger import Ledger
from finetune.prepare.reading.document import Document
from finetune.text.findings import Finding
from finetune.text.spread import Spread

FIRST_DOCUMENTS = 1000
"""How many are looked at before the first is judged; what comes later is judged by all before."""


def of_usual_length(
    documents: Iterator[Document], *, ledger: Ledger, drop: bool
) -> Iterator[Document]:
    """Yield documents; those far outside are counted as a finding, or left out with `drop`."""
    spreads: dict[str, Spread] = {}
    first = list(islice(documents, FIRST_DOCUMENTS))
    for document in first:
        _add(spreads, document)
    for number, document in enumerate(chain(first, documents)):
        if number >= len(first):
            _add(spreads, document)
        name = _name(document)
        if not spreads[name].is_outlier(_value(document)):
            yield document
        elif drop:
            ledger.drop(document, reason=name)
        else:
            finding = Finding(name, 1, document.learned)
            ledger.find(
                finding, card=document.card, language=document.language, where=document.where
            )
            yield document


def _add(spreads: dict[str, Spread], document: Document) -> None:
    spreads.setdefault(_name(document), Spread()).add(_value(document))


def _name(document: Document) -> str:
    return "length-ratio" if document.direction else "length-outlier"


def _value(document: Document) -> float:
    length = max(1, len(document.learned))
    if not document.direction:
        return float(length)
    return length / max(1, len(document.source or ""))
