"""Withdrawals: the records that are meant, and the artefacts in the store that contain them.

Exact by the ledger that every prepared corpus keeps: one line per document with the hash of its
record. Artefacts made from a prepared corpus are found by the inputs in the manifests.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from finetune.artefacts.job import Artifact
from finetune.artefacts.results import ReleaseResult, read_result
from finetune.cards.look import records_of
from finetune.errors import DataError, RecipeError, first_line
from finetune.messages import Place, Sentence, phrase, problem, sentence
from finetune.pipeline.corpora import fetched_files, is_fetched_for
from finetune.pipeline.manifest import Manifest, read_manifest
from finetune.pipeline.store import Store
from finetune.pipeline.verify import damage_of
from finetune.readers.record import Record
from finetune.spec.card import ALL, DataCard
from finetune.spec.load import load_recipe
from finetune.spec.withdrawn import record_hash
from finetune.spec.yaml_file import read_text

_HASH = re.compile(r"[0-9a-f]{64}")
LEDGER = "ledger.jsonl"
SHOWN_PLACES = 20
MOST_NEAR = 5
"""Names of contributors that are proposed."""


@dataclass(frozen=True, slots=True)
class Meant:
    """The records to withdraw: their hashes (or `all`), and where they stand in the files."""

    hashes: frozenset[str]
    places: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    """Lines that name no record, where they are to be looked for as they stand."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a ledger: a document of a prepared corpus."""

    record: str
    card: str
    contributor: str | None = None


@dataclass(slots=True)
class Held:
    """An artefact of the store that holds withdrawn texts, or was made from one that does."""

    artifact: Artifact
    recipe: str
    records: int | None
    """Withdrawn records in a prepared corpus; None for what was made from it, and where a corpus
    was prepared before ledgers were kept."""
    damage: str | None = None
    """The damage of its ledger."""
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
            problem(
                "no-contributor-column",
                "no `contributor`, so the card does not say who gave which text; name the texts "
                "themselves with --records FILE",
                at=Place(card.path, key="corpus.columns"),
            )
        )
    records, names = [], set()
    for record in records_of_card(card, store):
        if record.contributor == contributor:
            records.append(record)
        elif record.contributor is not None:
            names.add(record.contributor)
    old = {
        line.record
        for artifact, _ in store.artifacts()
        for line in ledger(artifact, damaged=_passed_over(store))
        if line.card == card.name and line.contributor == contributor
    }
    if not records and not old:
        raise DataError(
            problem(
                "contributor-unknown",
                "{contributor!r} gave no record of card {card!r}; other names in its column "
                "{column!r}: {count}. Write the name exactly as it stands there{near}",
                at=Place(key="--contributor"),
                contributor=contributor,
                card=card.name,
                column=card.corpus.columns["contributor"],
                count=len(names),
                near=_near(contributor, names),
            )
        )
    return _meant(records, old)


def _near(written: str, names: Collection[str]) -> Sentence:
    """Return the names that may be meant: the same in other letters, or with it as a word.

    Other names are of no concern to a person who cannot write them.
    """
    typed = _folded(written)
    alike = sorted(name for name in names if _folded(name) == typed)
    parts = sorted(name for name in names if typed in _folded(name).split())
    found = (alike or parts)[:MOST_NEAR]
    return sentence(". Is one of these meant: {names}?", names=found) if found else phrase("")


def _folded(name: str) -> str:
    """Return a name without case, accents and double spaces."""
    letters = unicodedata.normalize("NFD", " ".join(name.split()).casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def records_in_file(
    card: DataCard, path: Path, *, store: Store, removed_too: bool = False
) -> Meant:
    """Return the records that a file names, one per line: a fingerprint, or the text as it stands.

    Raises DataError with the number (never the text) of every line that names no record; with
    `removed_too` these may be texts that are in the card's files no more.
    """
    wanted = {
        number: line.strip()
        for number, line in enumerate(read_text(path).splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    }
    if not wanted:
        raise DataError(
            problem(
                "no-records-named",
                "names no record; write a text or a fingerprint on each line",
                at=Place(path),
            )
        )
    lines: dict[str, set[int]] = {}
    for number, line in wanted.items():
        lines.setdefault(_normal(line), set()).add(number)
    records: list[Record] = []
    matched: set[int] = set()
    for record in records_of_card(card, store):
        keys = {record_hash(record.fields), *_texts(record)}
        hits = {number for key in keys if key in lines for number in lines[key]}
        if hits:
            records.append(record)
            matched |= hits
    old = _in_ledgers(card, {wanted[n] for n in wanted if n not in matched}, store=store)
    missing = [n for n in wanted if n not in matched and wanted[n] not in old]
    if missing and not removed_too:
        raise DataError(
            *(
                problem(
                    "no-such-record",
                    "no record of card {card!r} has this text",
                    at=Place(path, n),
                    card=card.name,
                )
                for n in missing
            ),
            problem(
                "nothing-withdrawn",
                "nothing was withdrawn; copy each text exactly as it stands in the corpus",
            ),
        )
    texts = tuple(wanted[n] for n in missing if not _HASH.fullmatch(wanted[n]))
    return replace(_meant(records, old), texts=texts)


def trace(store: Store, card: DataCard, hashes: Collection[str]) -> list[Held]:
    """Return everything in the store that holds these records, oldest first.

    Fetched files of the card and prepared corpora hold them themselves; training runs, evaluations
    and releases were made from such a corpus.
    """
    held: dict[str, Held] = {}
    for artifact, manifest in store.artifacts():
        made = _holds(artifact, manifest, card=card, hashes=hashes)
        inputs = manifest.inputs.values()
        # a prepared corpus has the fetched files as input, and may have none of these records
        if made is None and artifact.stage != "prepare" and any(i in held for i in inputs):
            made = Held(artifact, manifest.name, records=None)
        if made is not None:
            if artifact.stage == "release":
                made.published = _published(store, artifact)
            held[made.name] = made
    return list(held.values())


def recipes_to_run(cards: Path, held: Collection[Held]) -> list[Path]:
    """Return the recipe files beside the cards whose artefacts hold withdrawn texts."""
    names = {h.recipe for h in held}
    paths = []
    for path in sorted((cards.parent / "recipes").glob("*.yaml")):
        try:
            recipe = load_recipe(path)
        except RecipeError:  # not one that can be run, so not one to run again
            continue
        if recipe.name in names:
            paths.append(path)
    return paths


def ledger(artifact: Artifact, *, damaged: Callable[[str], object]) -> Iterator[Line]:
    """Yield the lines of the ledger of a prepared corpus; nothing for another artefact.

    A ledger with another checksum is not read; `damaged` gets the place and the remedy.
    """
    if artifact.stage != "prepare" or LEDGER not in read_manifest(artifact.path).files:
        return
    if damage := damage_of(artifact.path, names={LEDGER}):
        damaged(damage.sentence)
        return
    path = artifact.path / LEDGER
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                line = _line(text)
                if line is None:
                    damaged(f"{path}:{number}: no line of a ledger")
                    return
                yield line
    except (OSError, UnicodeDecodeError) as error:
        damaged(f"{path}: cannot be read: {first_line(error)}")


def _passed_over(store: Store) -> Callable[[str], object]:
    return lambda damage: store.warn(f"warning: the ledger is not read: {damage}")


def _line(text: str) -> Line | None:
    try:
        values = json.loads(text)
        line = Line(values["record"], values["card"], values.get("contributor"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    is_text = isinstance(line.record, str) and isinstance(line.card, str)
    return line if is_text else None


def _holds(
    artifact: Artifact, manifest: Manifest, *, card: DataCard, hashes: Collection[str]
) -> Held | None:
    if is_fetched_for(card, artifact, manifest):
        return Held(artifact, manifest.name, records=None)
    if artifact.stage != "prepare" or card.name not in manifest.made_of.get("cards", ()):
        return None
    if LEDGER not in manifest.files:  # without a ledger it may hold them
        return Held(artifact, manifest.name, records=None)
    damage: list[str] = []
    count = sum(
        line.card == card.name and (ALL in hashes or line.record in hashes)
        for line in ledger(artifact, damaged=damage.append)
    )
    if damage:  # what cannot be read may hold more of them
        return Held(artifact, manifest.name, records=None, damage=damage[0])
    return Held(artifact, manifest.name, records=count) if count else None


def _published(store: Store, release: Artifact) -> list[Path]:
    """Return where the folder hub has the weights of this release."""
    weights = "adapter_model.safetensors"
    copy = store.root / "hub" / read_result(release, ReleaseResult).repo
    if not (copy / weights).is_file():
        return []
    same = (copy / weights).read_bytes() == (release.path / weights).read_bytes()
    return [copy] if same else []


def records_of_card(card: DataCard, store: Store) -> Iterator[Record]:
    """Yield the records of a card, withdrawn ones too, from its files or the fetched ones."""
    return records_of(card, inputs=fetched_files(card, store=store))


def _meant(records: Collection[Record], old: Collection[str]) -> Meant:
    hashes = {record_hash(record.fields) for record in records}
    return Meant(frozenset(hashes | set(old)), tuple(record.where for record in records))


def _in_ledgers(card: DataCard, hashes: Collection[str], *, store: Store) -> set[str]:
    wanted = {text for text in hashes if _HASH.fullmatch(text)}
    if not wanted:
        return set()
    return {
        line.record
        for artifact, _ in store.artifacts()
        for line in ledger(artifact, damaged=_passed_over(store))
        if line.card == card.name and line.record in wanted
    }


def _texts(record: Record) -> Iterator[str]:
    for value in record.fields.values():
        if isinstance(value, str):
            yield _normal(value)


def _normal(text: str) -> str:
    """Return text as two people would call it the same: NFC, spaces at its ends aside."""
    return unicodedata.normalize("NFC", text.strip())
