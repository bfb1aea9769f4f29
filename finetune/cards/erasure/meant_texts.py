"""The texts of withdrawn records, and what finds them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune.cards.erasure.needles import Needles, needles_of
from finetune.cards.withdraw import Meant, records_of_card
from finetune.pipeline.store import Store
from finetune.spec.card import ALL, DataCard
from finetune.spec.withdrawn import record_hash


def needles_meant(card: DataCard, meant: Meant, *, store: Store) -> Needles:
    """Return what finds the texts of the records that are meant.

    Runs of words that another record of the card has as well find nothing. The card's files are
    read twice.
    """

    def texts(*, of_meant: bool) -> Iterator[str]:
        for record in records_of_card(card, store):
            is_meant = ALL in meant.hashes or record_hash(record.fields) in meant.hashes
            is_free = record_hash(record.fields) not in card.withdrawn
            if is_meant if of_meant else (not is_meant and is_free):
                yield from strings_in(record.fields)

    mine = [*texts(of_meant=True), *meant.texts]
    hashes = meant.hashes - {ALL}
    return needles_of(mine, texts(of_meant=False), hashes=hashes)


def strings_in(value: Any) -> Iterator[str]:
    """Yield every text of a record's fields; conversations are lists of maps.

    >>> list(strings_in({"messages": [{"role": "user", "content": "a"}], "text": "b"}))
    ['a', 'b']
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("role", "from"):
                yield from strings_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings_in(inner)
    elif hasattr(value, "items"):
        yield from strings_in(dict(value))
