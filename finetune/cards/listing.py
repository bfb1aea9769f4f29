"""`finetune cards list`: one row a card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from finetune.cards.words import Lang
from finetune.errors import RecipeError
from finetune.spec.card import DataCard, LocalSource, PackageSource
from finetune.spec.load import load_card

COLUMNS: Mapping[Lang, tuple[str, ...]] = {
    "en": ("card", "languages", "kind", "licence", "size", "consent", "status"),
    "fr": ("fiche", "langues", "type", "licence", "taille", "consentement", "état"),
}
_ELSEWHERE: Mapping[Lang, str] = {"en": "elsewhere", "fr": "ailleurs"}
_BROKEN: Mapping[Lang, str] = {
    "en": "cannot be read: finetune cards check {name}",
    "fr": "illisible : finetune cards check {name}",
}


def card_row(path: Path, *, lang: Lang) -> tuple[str, ...]:
    """Return the row of a card; one that cannot be read says how to find out why."""
    try:
        card = load_card(path)
    except RecipeError:
        return (path.stem, "", "", "", "", "", _BROKEN[lang].format(name=path.stem))
    block = card.corpus
    size = size_bytes(card)
    return (
        card.name,
        " ".join(block.languages),
        block.kind,
        licence_name(card),
        _ELSEWHERE[lang] if size is None else people_size(size),
        block.consent.basis if block.consent.sentence else "—",
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
    found = [root / file.path for file in source.files]
    return sum(p.stat().st_size for p in found) if all(p.is_file() for p in found) else None


def people_size(size: float) -> str:
    """Return a size for people.

    >>> people_size(900), people_size(2_300_000)
    ('900 B', '2.3 MB')
    """
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} GB"
