"""`finetune cards list`: one row per card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune.errors import RecipeError
from finetune.messages import Sentence, phrase, sentence
from finetune.spec.card import DataCard
from finetune.spec.load import load_card
from finetune.spec.sections.source import LocalSource, PackageSource

COLUMNS: Mapping[str, Sentence] = {
    "card": sentence("card"),
    "languages": sentence("languages"),
    "kind": sentence("kind"),
    "licence": sentence("licence"),
    "size_bytes": sentence("size"),
    "consent": sentence("consent"),
    "status": sentence("status"),
}
"""Key in JSON -> heading of the column."""
KINDS: Mapping[str, Sentence] = {
    "text": sentence("text"),
    "parallel": sentence("translations"),
    "chat": sentence("conversations"),
}
BASES: Mapping[str, Sentence] = {
    "written": sentence("written"),
    "spoken": sentence("spoken"),
    "community": sentence("community"),
    "licence": sentence("licence"),
    "public-domain": sentence("public domain"),
    "not-stated": sentence("not stated"),
}
STATUSES: Mapping[str, Sentence] = {
    "not-stated": sentence("not stated"),
    "verified": sentence("verified"),
    "not-run": sentence("not run"),
    "withdrawn": sentence("withdrawn"),
    "unreadable": sentence("unreadable"),
}
NONE = phrase("—")


@dataclass(frozen=True, slots=True)
class Row:
    """The facts of a card in the table; a card that cannot be read has only its name."""

    card: str
    languages: tuple[str, ...] = ()
    kind: str = ""
    licence: str = ""
    size_bytes: int | None = None
    """None where the files are not on this machine."""
    consent: str = ""
    """Basis; empty if the card states nothing."""
    status: str = ""

    def cells(self, lang: str) -> tuple[str, ...]:
        """Return the cells of the row for people."""
        if self.status == "unreadable":
            hint = sentence("unreadable: finetune cards check {name}", name=self.card)
            return (self.card, "", "", "", "", "", hint.in_language(lang))
        size = sentence("elsewhere") if self.size_bytes is None else people_size(self.size_bytes)
        return (
            self.card,
            " ".join(self.languages),
            KINDS[self.kind].in_language(lang),
            self.licence,
            size.in_language(lang),
            BASES.get(self.consent, NONE).in_language(lang),
            STATUSES.get(self.status, NONE).in_language(lang),
        )


def card_row(path: Path) -> Row:
    """Return the row of the card at `path`."""
    try:
        card = load_card(path)
    except RecipeError:
        return Row(path.stem, status="unreadable")
    block = card.corpus
    return Row(
        card.name,
        tuple(block.languages),
        block.kind,
        licence_name(card),
        size_bytes(card),
        block.consent.basis if block.consent.sentence else "",
        "withdrawn" if card.is_withdrawn else block.status,
    )


def licence_name(card: DataCard) -> str:
    """Return the licence by the name that people know."""
    return str(card.license_name) if card.license == "other" else card.license


def size_bytes(card: DataCard) -> int | None:
    """Return the size of the files, or None where they are not on this machine."""
    source = card.corpus.source
    if isinstance(source, LocalSource):
        root = card.path.parent
    elif isinstance(source, PackageSource) and source.is_installed:
        from importlib.metadata import PackageNotFoundError, distribution

        try:
            root = Path(str(distribution(source.package.partition("==")[0]).locate_file("")))
        except PackageNotFoundError:
            return None
    else:
        return None
    paths = [root / file.path for file in source.files]
    return sum(p.stat().st_size for p in paths) if all(p.is_file() for p in paths) else None


def people_size(size: float) -> Sentence:
    """Return a size for people.

    >>> str(people_size(900)), str(people_size(2_300_000))
    ('900 B', '2.3 MB')
    """
    if size < 1000:
        return sentence("{size:.0f} B", size=size)
    if size < 1000**2:
        return sentence("{size:.1f} kB", size=size / 1000)
    if size < 1000**3:
        return sentence("{size:.1f} MB", size=size / 1000**2)
    return sentence("{size:.1f} GB", size=size / 1000**3)
