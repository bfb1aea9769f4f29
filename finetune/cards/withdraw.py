"""Taking texts back: which records are meant, and what in the store holds them.

Exact by the ledger that every prepared corpus keeps: one line a document with the hash of its
record. What was made from a prepared corpus is found through the inputs in the manifests.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact
from finetune.cards.look import records_of
from finetune.errors import DataError, RecipeError
from finetune.pipeline.corpora import fetched_files, is_fetched_for
from finetune.pipeline.store import Store
from finetune.readers.record import Record
from finetune.spec.card import ALL, DataCard
from finetune.spec.load import load_recipe
from finetune.spec.text import read_text
from finetune.spec.withdrawn import record_hash

_HASH = re.compile(r"[0-9a-f]{64}")
LEDGER = "ledger.jsonl"
SHOWN_PLACES = 20


@dataclass(frozen=True, slots=True)
class Meant:
    """The records to withdraw: their hashes (or `all`), and where they stand in the files."""

    hashes: frozenset[str]
    places: tuple[str, ...] = ()


@dataclass(slots=True)
class Held:
    """An artefact of the store that holds withdrawn texts, or was made from one that does."""

    artifact: Artifact
    recipe: str
    records: int | None
    """Withdrawn records in a prepared corpus; None for what was made from it, and where a corpus
    was prepared before ledgers were kept."""
    published: list[Path] = field(default_factory=list)
    """Folders of the folder hub that hold this release."""

    @property
    def name(self) -> str:
        """`stage/key`."""
        return f"{self.artifact.stage}/{self.artifact.key}"


def records_of_contributor(card: DataCard, contributor: str, *, store: Store) -> Meant:
    """Return the records that a person gave; DataError if there is none of that name."""
    if "contributor" not in card.corpus.columns:
        raise DataError(
            f"{card.path}: corpus.columns: no `contributor`, so the card does not say who gave "
            "which text; name the texts themselves with --records FILE"
        )
    found, names = [], set()
    for record in _records(card, store):
        if record.contributor == contributor:
            found.append(record)
        elif record.contributor is not None:
            names.add(record.contributor)
    old = {
        line["record"]
        for artifact, _ in store.artifacts()
        for line in ledger(artifact)
        if line["card"] == card.name and line["contributor"] == contributor
    }
    if not found and not old:
        raise DataError(
            f"--contributor {contributor}: gave no record of card {card.name!r}; its column "
            f"{card.corpus.columns['contributor']!r} has {len(names)} other names"
        )
    return _meant(found, old)


def records_in_file(card: DataCard, path: Path, *, store: Store) -> Meant:
    """Return the records that a file names, one a line: a fingerprint, or the text as it stands.

    Raises DataError with the number (never the text) of every line that names no record.
    """
    wanted = {
        number: line.strip()
        for number, line in enumerate(read_text(path).splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    }
    if not wanted:
        raise DataError(f"{path}: names no record; write a text or a fingerprint on each line")
    lines: dict[str, set[int]] = {}
    for number, line in wanted.items():
        lines.setdefault(_normal(line), set()).add(number)
    found: list[Record] = []
    matched: set[int] = set()
    for record in _records(card, store):
        keys = {record_hash(record.fields), *_texts(record)}
        hits = {number for key in keys if key in lines for number in lines[key]}
        if hits:
            found.append(record)
            matched |= hits
    old = _in_ledgers(card, {wanted[n] for n in wanted if n not in matched}, store=store)
    missing = [n for n in wanted if n not in matched and wanted[n] not in old]
    if missing:
        raise DataError(
            *(f"{path}:{n}: no record of card {card.name!r} has this text" for n in missing),
            "nothing was withdrawn; copy each text exactly as it stands in the corpus",
        )
    return _meant(found, old)


def trace(store: Store, card: DataCard, hashes: Collection[str]) -> list[Held]:
    """Return everything in the store that holds these records, oldest first.

    Fetched files of the card and prepared corpora hold them themselves; trainings, evaluations and
    releases were made from such a corpus.
    """
    held: dict[str, Held] = {}
    for artifact, manifest in store.artifacts():
        made = _holds(artifact, manifest, card=card, hashes=hashes)
        inputs = manifest["inputs"].values()
        # a prepared corpus has the fetched files as input, and may have none of these records
        if made is None and artifact.stage != "prepare" and any(i in held for i in inputs):
            made = Held(artifact, manifest["name"], records=None)
        if made is not None:
            if artifact.stage == "release":
                made.published = _published(store, artifact)
            held[made.name] = made
    return list(held.values())


def recipes_to_run(cards: Path, held: Collection[Held]) -> list[Path]:
    """Return the recipe files beside the cards whose artefacts hold withdrawn texts."""
    names = {h.recipe for h in held}
    found = []
    for path in sorted((cards.parent / "recipes").glob("*.yaml")):
        try:
            recipe = load_recipe(path)
        except RecipeError:  # not one that can be run, so not one to run again
            continue
        if recipe.name in names:
            found.append(path)
    return found


def ledger(artifact: Artifact) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of the ledger of a prepared corpus; nothing for another artefact."""
    path = artifact.path / LEDGER
    if artifact.stage != "prepare" or not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _holds(
    artifact: Artifact, manifest: Mapping[str, Any], *, card: DataCard, hashes: Collection[str]
) -> Held | None:
    content = manifest["content"]["content"]
    if is_fetched_for(card, artifact, manifest):
        return Held(artifact, manifest["name"], records=None)
    if artifact.stage != "prepare" or card.name not in content["cards"]:
        return None
    if not (artifact.path / LEDGER).is_file():
        return Held(artifact, manifest["name"], records=None)
    count = sum(
        line["card"] == card.name and (ALL in hashes or line["record"] in hashes)
        for line in ledger(artifact)
    )
    return Held(artifact, manifest["name"], records=count) if count else None


def _published(store: Store, release: Artifact) -> list[Path]:
    """Return where the folder hub has the weights of this release."""
    weights = "adapter_model.safetensors"
    copy = store.root / "hub" / release.result["repo"]
    if not (copy / weights).is_file():
        return []
    same = (copy / weights).read_bytes() == (release.path / weights).read_bytes()
    return [copy] if same else []


def _records(card: DataCard, store: Store) -> Iterator[Record]:
    return records_of(card, inputs=fetched_files(card, store=store))


def _meant(found: Collection[Record], old: Collection[str]) -> Meant:
    hashes = {record_hash(record.fields) for record in found}
    return Meant(frozenset(hashes | set(old)), tuple(record.where for record in found))


def _in_ledgers(card: DataCard, hashes: Collection[str], *, store: Store) -> set[str]:
    wanted = {text for text in hashes if _HASH.fullmatch(text)}
    if not wanted:
        return set()
    return {
        line["record"]
        for artifact, _ in store.artifacts()
        for line in ledger(artifact)
        if line["card"] == card.name and line["record"] in wanted
    }


def _texts(record: Record) -> Iterator[str]:
    for value in record.fields.values():
        if isinstance(value, str):
            yield _normal(value)


def _normal(text: str) -> str:
    """Return text as two people would call it the same: NFC, spaces at its ends aside."""
    return unicodedata.normalize("NFC", text.strip())
