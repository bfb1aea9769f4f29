"""The checks of finetune.text on the texts of a card, with everything they do written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finetune.prepare.ledger import Change, Ledger
from finetune.spec.recipe import Prepare
from finetune.text.lines import findings, mostly_other
from finetune.text.normalize import normalize


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands, for counts and samples."""

    card: str
    language: str
    where: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A text as it goes on, and why it must not, if so."""

    text: str
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Checks:
    """What the recipe asks for, and the ledger that everything is written into."""

    settings: Prepare
    ledger: Ledger

    def clean(self, text: str, place: Place) -> Checked:
        """Return a text, normalised; what was changed and what is odd is in the ledger."""
        done = normalize(text, language=place.language, checks=self.settings.text)
        for name in done.changes:
            self.ledger.change(
                name,
                Change(place.card, place.language, place.where, before=text, after=done.text),
            )
        script = place.language.rpartition("_")[2]
        for finding in findings(done.text, script=script):
            self.ledger.find(finding, card=place.card, language=place.language, where=place.where)
        refused = done.refused
        if self.settings.text.other_script == "drop" and mostly_other(done.text, script=script):
            refused = refused or "other-script"
        return Checked(done.text, refused)


def refused_of(checked: Mapping[str, Checked], names: list[str]) -> str | None:
    """Return why the first of these texts that must not go on must not."""
    return next((c.refused for n in names if (c := checked.get(n)) and c.refused), None)
