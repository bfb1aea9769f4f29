"""Documents of a card that are held out as a whole, beside single texts.

Which they are follows from their names alone: the hash of a name is a number in [0, 1), and the
documents below `test_share` are held out, or the lowest one if there is none. So another text moves
no document, books of one name are held out in every language, and another document moves no other
one as long as one is below the share.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.artefacts.other_documents import WhyNoDocument
from finetune.prepare.reading.document import place_of, text_id
from finetune.readers.tables import DOCUMENT_ROLE
from finetune.readers.units import records_of
from finetune.sources.files import SourceFile
from finetune.spec.card import DataCard
from finetune.spec.formats import known_format
from finetune.spec.recipe import Corpus, Prepare

MAX_SHARE = {"auto": 1 / 4, "always": 1 / 2}
"""Most documents of a card that are held out, as a share of them: with `auto` one of four."""


@dataclass(frozen=True, slots=True)
class CardDocuments:
    """Documents of a card, as far as they were counted, and those held out as a whole."""

    count: int | None = None
    held_out: frozenset[str] = frozenset()
    why: WhyNoDocument = ""


NOT_COUNTED = CardDocuments()


def held_out_documents(
    names: Collection[str], *, share: float, setting: Literal["auto", "always"]
) -> frozenset[str]:
    """Return the documents that are held out; none if there are too few.

    >>> sorted(held_out_documents({"a", "b", "c", "d"}, share=0.1, setting="auto"))
    ['d']
    >>> held_out_documents({"a", "b"}, share=0.1, setting="auto")
    frozenset()
    """
    places = sorted((place_of(text_id(name)), name) for name in names)
    below = sum(place < share for place, _ in places)
    most = int(len(places) * MAX_SHARE[setting])
    return frozenset(name for _, name in places[: min(most, max(1, below))])


def documents_of_card(
    corpus: Corpus, card: DataCard, files: Sequence[SourceFile], *, settings: Prepare
) -> CardDocuments:
    """Count the documents of a card, and choose those that are held out as a whole.

    Where there may be several, the files are read once more for that. Raises DataError as reading
    their texts does.
    """
    setting = settings.hold_out_documents
    why = "setting" if setting == "none" else _why_none(corpus, card, files)
    if setting == "none" or why:
        return CardDocuments(1 if why == "one" else None, why=why)
    names = {record.document for record in records_of(card, files)}
    found = held_out_documents(names, share=settings.test_share, setting=setting)
    why = "" if found else "few" if len(names) > 1 else "one"
    return CardDocuments(len(names), found, why)


def _why_none(corpus: Corpus, card: DataCard, files: Sequence[SourceFile]) -> WhyNoDocument:
    """Return why no document of a card can be held out as a whole, as far as files need no look."""
    if corpus.evaluate_only:
        return "evaluate-only"
    if card.corpus.test is not None:
        return "card"
    if corpus.replay:
        return "replay"
    if card.corpus.unit == "file":
        return "whole"
    return "" if _may_be_several(card, files) else "one"


def _may_be_several(card: DataCard, files: Sequence[SourceFile]) -> bool:
    form = known_format(card.corpus.format)
    inside = form is None or form.several_documents or DOCUMENT_ROLE in card.corpus.columns
    return inside or len(files) > 1
