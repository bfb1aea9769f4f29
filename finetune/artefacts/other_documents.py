"""Scores on documents that were held out as a whole, beside those on texts held out alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.artefacts.scores import PairedTest, SystemName, Yardstick
from finetune.messages import Sentence, counted, sentence

NAMES_SHOWN = 3
"""Names of cards in a line; of more, the number is shown."""
MIN_RESAMPLED = 5
"""Documents of a sample, at least, for an interval that resamples documents."""
HeldOut = Literal["document", "card"]
"""Whole that a test item is a part of, if all of it is held out."""
WhyNoDocument = Literal["", "card", "evaluate-only", "few", "one", "replay", "setting", "whole"]
"""Reason for which no document of a card is held out as a whole: the card names its test; all of it
is held out; it has two or three documents, or one; it is replay data; the recipe holds none out;
each of its texts is a document."""


@dataclass(frozen=True, slots=True)
class DocumentCounts:
    """Documents of a card, and those held out as a whole."""

    card: str
    documents: int | None
    """None where they were not counted."""
    held_out: int
    texts: int
    """Kept texts of the documents that are held out."""
    share: float
    """The same as a share of the card's kept texts."""
    why: WhyNoDocument = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """A system's score on whole documents or cards that were held out, minus that on single texts.

    The two samples are independent, so the interval is that of a difference of two bootstraps.
    """

    system: SystemName | Yardstick
    single: float
    """On texts that were held out alone."""
    whole: float
    low: float
    """Interval of `whole`."""
    high: float
    drop: float
    """`whole` minus `single`."""
    drop_low: float
    drop_high: float


@dataclass(frozen=True, slots=True)
class OtherDocuments:
    """Systems on documents, or cards, that were held out as a whole."""

    held_out: HeldOut
    test: PairedTest
    """Base and adapter on these items; nothing is claimed from it."""
    documents: int
    """Documents that the items are of."""
    drops: tuple[Drop, ...]
    resampled: Literal["documents", "texts"]
    """Units that the intervals resample: with few documents the texts within them; other documents
    may then differ by more."""


def limits(found: Iterable[DocumentCounts]) -> Iterator[Sentence]:
    """Yield what cannot be said for lack of documents that are held out as a whole."""
    cards: dict[str, list[str]] = {"one": [], "few": [], "setting": []}
    for one in found:
        if one.why in cards and one.card not in cards[one.why]:
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
    if cards["setting"]:
        yield sentence(
            "{cards}: no document is held out as a whole (`hold_out_documents: none`)",
            cards=_some(cards["setting"]),
        )


def _some(names: Sequence[str]) -> list[str | Sentence]:
    """Return names of cards for a list: the first ones, and the number of the others."""
    if len(names) <= NAMES_SHOWN + 1:
        return list(names)
    more = counted("{count} more card", "{count} more cards", len(names) - NAMES_SHOWN)
    return [*names[:NAMES_SHOWN], more]
