"""Train, validation or test, by the hash of the source text alone.

The same text falls on the same side in every recipe, whatever else is in the corpus, and however
many languages it is translated into.
"""

from __future__ import annotations

from collections.abc import Iterable
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


def separate(
    documents: Iterable[Document], *, validation_share: float, test_share: float, ledger: Ledger
) -> dict[Split, list[Document]]:
    """Split documents, and drop what would train on a held-out text.

    Two pairs may share one side only (one translation of two English texts), so that their
    hashes put them on different sides. No text of test, in any language, stays in validation or
    train, and none of validation in train; what is dropped is counted as `in-evaluation`.
    """
    found: dict[Split, list[Document]] = {split: [] for split in SPLITS}
    for document in documents:
        side = split_of(document.id, validation_share=validation_share, test_share=test_share)
        found[side].append(document)
    held_out: set[bytes] = set()
    for split in reversed(SPLITS):  # what is held out first keeps all its texts
        clean = []
        for document in found[split]:
            if split != "test" and not held_out.isdisjoint(document.sides):
                ledger.drop(document, reason="in-evaluation")
            else:
                clean.append(document)
        found[split] = sorted(clean, key=lambda d: (d.id, d.content, d.card, d.language))
        for document in clean:
            held_out |= document.sides
    return found
