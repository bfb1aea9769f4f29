"""Train, validation or test, by the hash of the source text alone.

The same text falls on the same side in every recipe, whatever else is in the corpus, and however
many languages it is translated into. What one phase of a recipe holds out, no other trains on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from finetune.prepare.document import Document
from finetune.prepare.ledger import Ledger

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def split_of(document_id: str, *, validation_share: float, test_share: float) -> Split:
    """Return the side of a document; `document_id` is the SHA-256 (hex) of its source text.

    The first 52 bits are a number in [0, 1): test below `test_share`, then validation, then
    train. A larger share only moves texts out of train, never from test into train.

    >>> split_of("0" * 64, validation_share=0.05, test_share=0.1)
    'test'
    """
    place = int(document_id[:13], 16) / 16**13
    if place < test_share:
        return "test"
    # Counted from the other end, so that another test share does not move validation texts.
    return "validation" if place >= 1 - validation_share else "train"


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What other phases of the recipe hold out, as digests of texts (`Document.sides`)."""

    test: frozenset[bytes] = frozenset()
    """Every text of a test document."""
    validation: tuple[frozenset[bytes], ...] = ()
    """The texts of each validation document."""


def held_out(
    documents: Iterable[Document], *, validation_share: float, test_share: float
) -> HeldOut:
    """Return what `separate` would hold out of these documents; they are not kept."""
    test: set[bytes] = set()
    validation = []
    for document in documents:
        side = split_of(document.id, validation_share=validation_share, test_share=test_share)
        if side == "test":
            test |= document.sides
        elif side == "validation":
            validation.append(document.sides)
    return HeldOut(frozenset(test), tuple(validation))


def separate(
    documents: Iterable[Document],
    *,
    validation_share: float,
    test_share: float,
    ledger: Ledger,
    elsewhere: HeldOut | None = None,
) -> dict[Split, list[Document]]:
    """Split documents, and drop what would train on a held-out text.

    Two documents may share one text only (one translation of two English texts; a translation
    that is also a plain text of another phase, `elsewhere`), so that their hashes put them on
    different sides. No text of test, in any language or phase, stays in validation or train, and
    none of validation in train; what is dropped is counted as `in-evaluation`.
    """
    elsewhere = elsewhere or HeldOut()
    found: dict[Split, list[Document]] = {split: [] for split in SPLITS}
    for document in documents:
        side = split_of(document.id, validation_share=validation_share, test_share=test_share)
        found[side].append(document)

    def clean(split: Split, barred: set[bytes]) -> list[Document]:
        kept = []
        for document in found[split]:
            if barred.isdisjoint(document.sides):
                kept.append(document)
            else:
                ledger.drop(document, reason="in-evaluation")
        return sorted(kept, key=lambda d: (d.id, d.content, d.card, d.language))

    test = clean("test", set())  # what is held out first keeps all its texts
    barred = set(elsewhere.test).union(*(d.sides for d in test))
    validation = clean("validation", barred)
    # A validation document that another phase drops for a text of test holds nothing back.
    kept_elsewhere = [sides for sides in elsewhere.validation if barred.isdisjoint(sides)]
    barred = barred.union(*(d.sides for d in validation), *kept_elsewhere)
    return {"train": clean("train", barred), "validation": validation, "test": test}
