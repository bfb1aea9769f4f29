"""The folder in which a release is made again: recipe, cards and inputs, from `provenance`.

    recipe.json     the recipe of the release, with the paths of this folder
    data_cards/     its cards, with their files
    inputs/         other files that it names
    store/          the store
    release/        a release of the Hub
    SHA256SUMS      of the release, so that the same command continues

What a release states is foreign: every file is read by the reader of its kind, and no path of it
leads out of the folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import InputError, RecipeError
from finetune.messages import Place, Problem, problem
from finetune.output.copy_file import copy_file
from finetune.output.small_files import UnreadableError, read_bytes, read_json
from finetune.release.provenance.checksum_list import LIST
from finetune.release.provenance.provenance_index import (
    CARDS,
    FOLDER,
    INDEX,
    RECIPE,
    SUMS,
    CardNote,
    ProvenanceIndex,
)
from finetune.release.provenance.supplied_files import Supplied
from finetune.spec.card import DataCard
from finetune.spec.load import load_card, load_recipe
from finetune.spec.resolved import as_text, with_local_paths
from finetune.spec.sections.source import LocalSource
from finetune.spec.task_file import is_task_file
from finetune.spec.withdrawn import list_path

STORE, RELEASE = "store", "release"


@dataclass(frozen=True, slots=True)
class Needed:
    """A file that a release was made from and does not contain."""

    what: Place
    """Card, or key of the recipe."""
    name: str
    sha256: str
    target: Path


def read_index(release: Path) -> ProvenanceIndex:
    """Return `provenance.json`. Raises InputError if it is none, or of a later version."""
    path = release / FOLDER / INDEX
    try:
        return read_json(path, ProvenanceIndex)
    except (OSError, UnreadableError) as error:
        raise InputError(
            problem(
                "unreadable-provenance",
                "cannot be read ({why}); another version of finetune may have written it",
                at=Place(path),
                why=str(error),
            )
        ) from None


def open_workplace(folder: Path, *, sums: bytes) -> None:
    """Make the folder, or continue in it.

    Raises InputError if something else is there, or another release is made again there.
    """
    marker = folder / SUMS
    if marker.is_file() and marker.read_bytes() == sums:
        return
    if folder.exists() and any(one.name != RELEASE for one in folder.iterdir()):
        raise _not_ours(folder)
    folder.mkdir(parents=True, exist_ok=True)
    marker.write_bytes(sums)


def fresh_release(folder: Path) -> Path:
    """Return where a release of the Hub is fetched to in a workplace; a former one is removed.

    Raises InputError if the folder is something else.
    """
    target = folder / RELEASE
    if folder.exists() and not (folder / SUMS).is_file() and any(folder.iterdir()):
        raise _not_ours(folder)
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    return target


def _not_ours(folder: Path) -> InputError:
    return InputError(
        problem(
            "folder-of-something-else",
            "is not empty, and not of this release; name another folder with --into",
            at=Place(folder),
        )
    )


def list_of(release: Path) -> bytes:
    """Return the list of checksums of a release that was verified."""
    return (release / LIST).read_bytes()


def lay_cards(
    release: Path, index: ProvenanceIndex, folder: Path, *, given: Supplied
) -> tuple[dict[str, DataCard], list[Problem]]:
    """Put the cards into the folder; return those that are there, and why others are not."""
    target = folder / CARDS
    target.mkdir(exist_ok=True)
    cards, problems = {}, []
    for note in index.cards:
        source = release / FOLDER / CARDS / f"{note.card}.md"
        if note.left_out is not None:
            found = given.card(note.card, note.sha256)
            if found is None:
                problems.append(_left_out(note))
                continue
            source = found
        try:
            _copy(source, target / source.name)
            if list_path(source).is_file():
                _copy(list_path(source), list_path(target / source.name))
            card = cards[note.card] = load_card(target / source.name)
            problems += _withdrawn_since(card, given)
        except RecipeError as error:
            problems += error.problems
    return cards, problems


def _withdrawn_since(card: DataCard, given: Supplied) -> list[Problem]:
    """Return a problem if a card that was given withdraws more than that of the release."""
    newer = [one.withdrawn - card.withdrawn for one in given.cards(card.name)]
    count = max(map(len, newer), default=0)
    if not count and not any(one.is_withdrawn for one in given.cards(card.name)):
        return []
    return [
        problem(
            "withdrawn-since",
            "texts of this data card were withdrawn after the release was built (entries: {count}),"
            " and nothing is made from them again; make a new release instead",
            at=Place(key=card.name),
            count=count,
        )
    ]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    try:
        target.write_bytes(read_bytes(source))
    except (OSError, UnreadableError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise RecipeError(
            problem("cannot-be-read", "cannot be read: {why}", at=Place(source), why=why)
        ) from None


def _left_out(note: CardNote) -> Problem:
    at = Place(key=note.card)
    if note.left_out == "withdrawn":
        return problem(
            "card-withdrawn",
            "this data card was withdrawn by its owners, and nothing is made from its texts again",
            at=at,
        )
    return problem(
        "card-restricted",
        "this data card (licence {licence}, sha256 {sha256}) is not in the release, because access "
        "to its texts is restricted. Ask its owners; then put {card}.md and its texts into a "
        "folder, and name that with --files",
        at=at,
        licence=note.licence,
        sha256=note.sha256,
        card=note.card,
    )


def needed_files(
    index: ProvenanceIndex, cards: Mapping[str, DataCard], folder: Path
) -> Iterator[Needed]:
    """Yield the files that a person must give: the texts of cards, and what the recipe names."""
    for name, card in cards.items():
        source = card.corpus.source
        if isinstance(source, LocalSource) and not card.is_withdrawn:
            for file in source.files:
                yield Needed(Place(key=name), file.path, file.sha256, folder / CARDS / file.path)
    for one in index.inputs:
        if one.key.startswith("release."):  # judgements: shown in the release, not trained on
            continue
        for name, sha256 in one.files.items():
            yield Needed(Place(key=one.key), name, sha256, folder / one.folder / name)


def lay_files(needed: list[Needed], *, given: Supplied) -> list[Problem]:
    """Put the files into their places; return a problem for each that was not given."""
    problems = []
    for one in needed:
        source = given.by_sha256.get(one.sha256)
        if source is None:
            problems.append(
                problem(
                    "input-not-given",
                    "the file {name} (sha256 {sha256}) is not in the release, and in no folder of "
                    "--files",
                    at=one.what,
                    name=one.name,
                    sha256=one.sha256,
                )
            )
            continue
        if one.target.exists() and one.target.samefile(source):
            continue
        one.target.parent.mkdir(parents=True, exist_ok=True)
        one.target.unlink(missing_ok=True)
        copy_file(source, one.target)
    return problems


def unrecorded(index: ProvenanceIndex) -> list[Problem]:
    """Return a problem for each input without checksums."""
    return [
        problem(
            "input-not-recorded", "its files are not recorded in the release", at=Place(key=i.key)
        )
        for i in index.inputs
        if not i.files and not i.key.startswith("release.")
    ]


def lay_recipe(release: Path, index: ProvenanceIndex, folder: Path) -> Path:
    """Write the recipe with the paths of the folder; return its place.

    Raises InputError if it names a file that is not one of the inputs.
    """
    source = release / FOLDER / RECIPE
    try:
        values = read_json(source, dict[str, Any])
    except (OSError, UnreadableError) as error:
        raise InputError(
            problem("unreadable-file", "cannot be read ({why})", at=Place(source), why=str(error))
        ) from None
    places = {f"./{one.folder}": one.folder for one in index.inputs}
    places |= {
        f"./{i.folder}/{name}": f"{i.folder}/{name}" for i in index.inputs for name in i.files
    }
    inside = {path: str(folder / place) for path, place in places.items()}
    values = _at_home(_with_places(values, inside))
    known = set(inside.values())
    evaluate = values.get("evaluate")
    tasks = evaluate.get("tasks") if isinstance(evaluate, dict) else None
    for task in tasks if isinstance(tasks, list) else []:
        if isinstance(task, str) and is_task_file(task):
            _refuse_outside(task, known, at=Place(source, key="evaluate.tasks"))
    target = folder / RECIPE
    target.write_text(as_text(values), "utf-8")

    def check(key: str, path: str) -> str:
        _refuse_outside(path, known, at=Place(source, key=key))
        return path

    with_local_paths(load_recipe(target), check)
    return target


def _at_home(values: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe without what would leave the machine, and without files that it shows."""
    quiet: dict[str, dict[str, Any]] = {
        "run": {"trackers": [], "tensorboard": False},
        "release": {"judgements": []},
    }
    kept = {key: value for key, value in values.items() if key != "publish"}
    for key, settings in quiet.items():
        if isinstance(kept.get(key), dict):
            kept[key] = kept[key] | settings
    return kept


def _with_places(value: Any, inside: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return inside.get(value, value)
    if isinstance(value, dict):
        return {key: _with_places(inner, inside) for key, inner in value.items()}
    return [_with_places(one, inside) for one in value] if isinstance(value, list) else value


def _refuse_outside(path: str, known: set[str], *, at: Place) -> None:
    if path not in known:
        raise InputError(
            problem(
                "path-out-of-release",
                "{path!r} is none of the inputs of the release; nothing was read there",
                at=at,
                path=path,
            )
        )
