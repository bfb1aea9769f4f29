"""Data cards and their records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from finetune.api.recipes import store_at
from finetune.pipeline.corpora import fetched_files
from finetune.readers.record import Record
from finetune.readers.units import records_of
from finetune.sources.files import resolve_files
from finetune.spec.card import DataCard


@dataclass(frozen=True, slots=True)
class Card:
    """A data card, and the way to its records."""

    card: DataCard
    """All that the card states."""
    store: Path

    def records(self) -> Iterator[Record]:
        """Yield the records of the card's files, as the reader finds them, before any check.

        Raises DataError for files that are missing, changed or unreadable; a corpus of the Hub
        has to be fetched first (`finetune fetch`).
        """
        files = resolve_files(
            self.card, inputs=fetched_files(self.card, store=store_at(self.store))
        )
        return records_of(self.card, files)


def open_card(card: Path | str, *, store: Path | str | None = None) -> Card:
    """Return a data card, by its file or by its name in the `data_cards` folder above.

    Raises RecipeError for a card that is not there, has problems or was withdrawn.
    """
    from finetune.prepare.audit import card_to_read

    return Card(card_to_read(str(card)), store_at(store).root)
