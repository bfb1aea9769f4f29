"""`finetune cards publish`: the texts of a card with the card, as a data set of a hub.

The card decides: withdrawn texts, expired consent, uses without `share` and a licence that is not
established are refused. Restricted access makes a private data set, or one behind the gate that the
card names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from finetune.cards.look import records_of
from finetune.cards.update import update_command
from finetune.errors import ReleaseError
from finetune.messages import Place, Problem, phrase, problem
from finetune.output.small_files import read_bytes
from finetune.pipeline.internal_texts import outside
from finetune.release import folder_hub
from finetune.release.hub_changes import refuse_foreign
from finetune.release.leaks import private_facts, scan
from finetune.sources.files import resolve_files
from finetune.sources.hub_fetch import endpoint
from finetune.spec.card import DataCard
from finetune.spec.licence import KNOWN
from finetune.spec.sections.source import LocalSource
from finetune.spec.terms.refusals import copy_problems
from finetune.spec.terms.strictest import strictest_terms
from finetune.spec.terms.term_sentences import said_of_terms
from finetune.spec.withdrawn import record_hash

if TYPE_CHECKING:
    from finetune.release.hub import Target

SHOWN_PLACES = 5
_PROMPT = "extra_gated_prompt"
_GATES: Mapping[str, Literal["auto", "manual"]] = {"agree": "auto", "ask": "manual"}


@dataclass(frozen=True, slots=True)
class Destination:
    """The data set of a hub that texts are published to."""

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


def files_of(card: DataCard, *, public: bool, today: date, folder: Path) -> dict[str, Path]:
    """Return the files to publish, relative path -> file: the card as README.md, and its texts.

    The card with its conditions where the Hub shows them is written into `folder`.

    Raises ReleaseError with every clause of the card that forbids it, DataError for files that are
    not what the card states.
    """
    place = Place(card.path)
    found = _refusals(card, public=public, today=today)
    problems = [one if one.place else one.at(place) for one in found]
    if problems:
        raise ReleaseError(*problems)
    readme = _with_conditions(card, folder)
    files = {"README.md": readme}
    files |= {file.name: file.path for file in resolve_files(card, inputs={})}
    machine = private_facts(folders=[card.path.parent])
    scan({"README.md": readme}, private=machine, public=_public_words(card))
    return files


def _with_conditions(card: DataCard, folder: Path) -> Path:
    """Return the card's file; a copy with the Hub's own key for the conditions of access.

    Without it the Hub asks users to accept its standard text. A key of the owner's stays.
    """
    access = card.corpus.access
    if access.kind == "open" or not access.conditions or _PROMPT in card.hub_metadata:
        return card.path
    lines = read_bytes(card.path).decode("utf-8-sig").splitlines(keepends=True)
    end = next(n for n, line in enumerate(lines) if n and line.rstrip() == "---")
    # a JSON string is the same string in YAML 1.1 and 1.2
    terms = strictest_terms({card.name: card})
    said = [access.conditions.strip(), *(map(str, said_of_terms(terms)) if terms else ())]
    prompt = json.dumps("\n\n".join(said), ensure_ascii=False)
    lines.insert(end, f"{_PROMPT}: {prompt}\n")
    path = folder / "README.md"
    path.write_text("".join(lines), "utf-8", newline="")
    return path


def publish(
    card: DataCard, files: Mapping[str, Path], place: Destination, *, force: bool = False
) -> bool:
    """Publish the data set; return whether anything changed there.

    `force`: also over what others changed on the Hub.

    Raises ReleaseError if the hub refused, the folder cannot be written, or the texts stay with
    their owner.
    """
    _refuse_outside(card, place)
    if place.hub == "directory":
        return folder_hub.put(files, Path(place.address), force=force).changed
    from finetune.release.hub import upload

    return upload(files, _target(card, place, force=force)).changed


def rehearse(
    card: DataCard, files: Mapping[str, Path], place: Destination, *, force: bool = False
) -> None:
    """Raise the ReleaseError in which `publish` would end; write nothing."""
    _refuse_outside(card, place)
    if place.hub == "directory":
        found_here = folder_hub.look(files, Path(place.address), force=force)
        refuse_foreign(found_here, Place(place.address))
        return
    from finetune.release.hub import look, refuse_visible

    target = _target(card, place, force=force)
    found = look(files, target)
    refuse_visible(target, seen_by_all=found.exists and not found.private)
    refuse_foreign(found.changes, Place(target.address))


def _refuse_outside(card: DataCard, place: Destination) -> None:
    at = Place(card.path)
    if problems := list(outside(card.name, card, hub=place.hub, public=place.public)):
        raise ReleaseError(*(one.at(at) for one in problems))


def _target(card: DataCard, place: Destination, *, force: bool) -> Target:
    from finetune.release.hub import Target

    return Target(
        place.repo,
        private=not place.public,
        make_public=place.public,
        force=force,
        kind="dataset",
        gated=_GATES.get(card.corpus.access.kind),
        option="--repo",
        replaces=lambda _: False,
    )


def _refusals(card: DataCard, *, public: bool, today: date) -> Iterator[Problem]:
    """Yield every clause of a card that forbids publishing its texts."""
    block = card.corpus
    if card.is_withdrawn:
        yield problem("publish-withdrawn", "the corpus was withdrawn by its owners")
    if block.consent.expires and block.consent.expires < today:
        yield problem(
            "publish-consent-expired",
            "consent.expires: the consent ended on {day}",
            day=block.consent.expires.isoformat(),
        )
    if block.permitted_uses and "share" not in block.permitted_uses:
        yield problem(
            "publish-not-permitted",
            "permitted_uses: the owners do not permit passing the texts on (`share`)",
        )
    if card.license not in KNOWN or "license" in block.not_established:
        yield problem(
            "publish-licence",
            "license: {licence!r} is not established or not known",
            licence=card.license,
        )
    if public and block.personal_data == "present":
        yield problem(
            "publish-personal-data",
            "personal_data: present; a public data set must not contain personal data",
        )
    yield from copy_problems({card.name: card}, instead=phrase(""))
    yield from _of_files(card)


def _of_files(card: DataCard) -> Iterator[Problem]:
    source = card.corpus.source
    if not isinstance(source, LocalSource):
        yield problem(
            "publish-elsewhere",
            "source: the texts are not files beside the card; they are published elsewhere already",
        )
        return
    if any(file.path.lower() == "readme.md" for file in source.files):
        yield problem(
            "publish-readme",
            "source.files: a file is called README.md, but that is the place of the card",
        )
    if card.withdrawn and not card.is_withdrawn:
        held = [r.where for r in records_of(card) if record_hash(r.fields) in card.withdrawn]
        if held:
            yield problem(
                "publish-withdrawn-records",
                "the files still contain withdrawn records ({count}: {places}); remove them, then "
                "run: {command}",
                count=len(held),
                places=held[:SHOWN_PLACES],
                command=update_command(card.path),
            )


def _public_words(card: DataCard) -> tuple[str, ...]:
    """Return the words that its owners publish: a user's name in them is no leak."""
    block = card.corpus
    people = [p.who for p in (block.speakers, block.annotators) if p]
    strings = [card.name, card.pretty_name, block.contact, block.consent.statement, *people]
    return tuple(text for text in strings if text)
