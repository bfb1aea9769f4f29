"""Train, validation or test, by the hash of the source text alone.

The same text falls on the same side in every recipe, whatever else is in the corpus, and however
many languages it is translated into.
"""

from __future__ import annotations

from typing import Literal

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
