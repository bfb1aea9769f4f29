"""`finetune cards publish`: the texts of a card with the card, as a data set of a hub.

Nothing goes out that the card does not allow: withdrawn texts, consent that ended, uses without
`share`, a licence that nobody established. What is not open is private, or behind the gate that the
card asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from finetune.cards.look import records_of
from finetune.cards.words import Lang
from finetune.errors import ReleaseError
from finetune.release.leaks import private_facts, scan
from finetune.release.publish import to_directory
from finetune.sources.fetch import endpoint
from finetune.sources.files import resolve_files
from finetune.spec.card import DataCard, LocalSource
from finetune.spec.licence import KNOWN
from finetune.spec.withdrawn import record_hash

REFUSALS: Mapping[str, Mapping[Lang, str]] = {
    "withdrawn": {
        "en": "the corpus was withdrawn by its owners",
        "fr": "le corpus a été retiré par ses propriétaires",
    },
    "records": {
        "en": "the files still hold {count} withdrawn records ({where}); remove them and correct "
        "the checksum in the card",
        "fr": "les fichiers contiennent encore {count} enregistrements retirés ({where}) ; "
        "retirez-les et corrigez l'empreinte dans la fiche",
    },
    "expired": {
        "en": "consent.expires: the consent ended on {day}",
        "fr": "consent.expires : le consentement a pris fin le {day}",
    },
    "share": {
        "en": "permitted_uses: the owners do not permit passing the texts on (`share`)",
        "fr": "permitted_uses : les propriétaires ne permettent pas la diffusion (`share`)",
    },
    "licence": {
        "en": "license: {licence!r} is not established or not known",
        "fr": "license : {licence!r} n'est pas établie ou pas connue",
    },
    "personal": {
        "en": "personal_data: present; what everybody can see must hold none",
        "fr": "personal_data : present ; ce que tous peuvent voir ne doit pas en contenir",
    },
    "elsewhere": {
        "en": "source: the texts are not files beside the card, but published elsewhere already",
        "fr": "source : les textes ne sont pas des fichiers à côté de la fiche, mais déjà publiés "
        "ailleurs",
    },
    "readme": {
        "en": "source.files: a file is called README.md, which is the card's place",
        "fr": "source.files : un fichier s'appelle README.md, qui est la place de la fiche",
    },
}
_GATES: Mapping[str, Literal["auto", "manual"]] = {"agree": "auto", "ask": "manual"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a data set goes."""

    repo: str
    """`org/name`."""
    hub: Literal["directory", "huggingface"]
    directory: Path
    """Root of the folder hub; data sets lie in `datasets/` below it."""
    public: bool

    @property
    def address(self) -> str:
        """For people."""
        if self.hub == "directory":
            return str(self.directory / "datasets" / self.repo)
        return f"{endpoint()}/datasets/{self.repo}"


def files_of(card: DataCard, *, public: bool, today: date, lang: Lang) -> dict[str, Path]:
    """Return what goes out, relative path -> file: the card as README.md, and its texts.

    Raises ReleaseError with every clause of the card that forbids it, DataError for files that are
    not what the card says.
    """
    problems = [
        f"data card {card.name!r}: " + REFUSALS[code][lang].format(**facts)
        for code, facts in _refusals(card, public=public, today=today)
    ]
    if problems:
        raise ReleaseError("\n".join(problems))
    files = {"README.md": card.path}
    files |= {file.name: file.path for file in resolve_files(card, inputs={})}
    machine = private_facts(folders=[card.path.parent])
    scan({"README.md": card.path}, private=machine, public=_said(card))
    return files


def publish(card: DataCard, files: Mapping[str, Path], place: Place) -> bool:
    """Put the data set where it belongs; return whether anything changed there.

    Raises ReleaseError if the hub refused, or the folder cannot be written.
    """
    if place.hub == "directory":
        return to_directory(files, Path(place.address))
    from finetune.release.hub import Target, upload

    return upload(
        files,
        Target(
            place.repo,
            private=not place.public,
            kind="dataset",
            gated=_GATES.get(card.corpus.access.kind),
            option="--repo",
            replaced=(),
            message="Publish the texts with their card",
        ),
    )


def _refusals(
    card: DataCard, *, public: bool, today: date
) -> Iterator[tuple[str, dict[str, object]]]:
    block = card.corpus
    if card.is_withdrawn:
        yield "withdrawn", {}
    if block.consent.expires and block.consent.expires < today:
        yield "expired", {"day": block.consent.expires}
    if block.permitted_uses and "share" not in block.permitted_uses:
        yield "share", {}
    if card.license not in KNOWN or "license" in block.not_established:
        yield "licence", {"licence": card.license}
    if public and block.personal_data == "present":
        yield "personal", {}
    if not isinstance(block.source, LocalSource):
        yield "elsewhere", {}
        return
    if any(file.path.lower() == "readme.md" for file in block.source.files):
        yield "readme", {}
    if card.withdrawn and not card.is_withdrawn:
        held = [r.where for r in records_of(card) if record_hash(r.fields) in card.withdrawn]
        if held:
            yield "records", {"count": len(held), "where": ", ".join(held[:5])}


def _said(card: DataCard) -> tuple[str, ...]:
    """Return what its owners chose to publish: a user's name in it is no leak."""
    block = card.corpus
    people = [p.who for p in (block.speakers, block.annotators) if p]
    strings = [card.name, card.pretty_name, block.contact, block.consent.statement, *people]
    return tuple(text for text in strings if text)
