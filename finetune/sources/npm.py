"""Files of an npm package, from the registry, without Node.js.

The archive is found by name and version and held against the checksum that the registry states.
Only requested files leave it, each with the checksum of the card, and nothing in it is run.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune.errors import DataError, InputError, StoreError
from finetune.messages import Place, problem, sentence
from finetune.output.console import Console
from finetune.output.small_files import UnreadableError, read_json
from finetune.sources.archives import write_member
from finetune.sources.npm_registry import VARIABLES, archive_address, facts_address, registry_of
from finetune.sources.tar_stream import ArchiveError, Member, opened
from finetune.sources.web import NotServedError, download

MAX_UNPACKED_BYTES = 256 * 2**20
"""Maximum unpacked size of an archive, headers and other files included."""
MAX_FACTS_BYTES = 4 * 2**20
_NOT_THERE = (404, 405, 410)
_NOT_ALLOWED = (401, 402, 403)
_ALGORITHMS = ("sha512", "sha384", "sha256", "sha1")
"""Of integrity strings, the strongest first."""


@dataclass(frozen=True, slots=True)
class _Dist:
    """Facts of a version in a registry."""

    integrity: str | None = None
    """Checksums as `sha512-BASE64`, several with blanks between."""
    shasum: str | None = None
    """The sha1 in hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class _Facts:
    dist: _Dist


def fetch_files(
    package: str, files: Mapping[str, str], into: Path, *, console: Console | None = None
) -> str:
    """Put files of a package of an exact version (`NAME==VERSION`) below a folder.

    `files`: path in the archive (npm puts `package/` before everything) -> sha256. Returns the
    checksum of the archive as npm's lock files have it (`sha512-BASE64`).

    Raises:
        InputError: no such package or version, or no access to it.
        StoreError: no network, or the registry failed.
        DataError: the archive is broken or hostile, a file is missing or has another checksum.
    """
    scratch = into / ".download"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        archive, integrity = _archive(package, scratch, console=console or Console())
        unpack(archive, files, into, package=package)
    finally:
        shutil.rmtree(scratch)
    return integrity


def _archive(package: str, scratch: Path, *, console: Console) -> tuple[Path, str]:
    """Return the archive of a package, and its checksum."""
    at = _place(package)
    name, _, version = package.rpartition("==")
    facts, archive = scratch / "facts.json", scratch / "archive.tgz"
    try:
        download(facts_address(name, version), facts, at=at, label=name, console=console)
        address = archive_address(name, version)
        download(address, archive, at=at, label=f"{name} {version}", console=console)
    except NotServedError as error:
        raise _failure(at, name, status=error.status) from None
    try:
        stated = read_json(facts, _Facts, max_bytes=MAX_FACTS_BYTES).dist
    except UnreadableError as error:
        raise StoreError(
            problem(
                "no-npm-registry",
                "{registry} is no npm registry: its answer is unreadable ({why}); set {variable}",
                at=at,
                registry=registry_of(name),
                why=error.args[0],
                variable=VARIABLES[0],
            )
        ) from None
    _refuse_other(archive, stated, at=at)
    return archive, f"sha512-{base64.b64encode(_digest(archive, 'sha512')).decode()}"


def _place(package: str) -> Place:
    return Place(part=sentence("npm package {package!r}", package=package))


def _failure(at: Place, name: str, *, status: int) -> InputError | StoreError:
    """Return the error for an answer of a registry that is not the file."""
    registry = registry_of(name)
    if status in _NOT_THERE:
        return InputError(
            problem(
                "no-npm-package",
                "{registry} has no such package or version (HTTP {status:d}); check name and "
                "version in the card",
                at=at,
                registry=registry,
                status=status,
            )
        )
    if status in _NOT_ALLOWED:
        return InputError(
            problem(
                "npm-login",
                "{registry} requires a login (HTTP {status:d}), which is not supported; download "
                "the files yourself and name them in the card, or set {variable} to a registry "
                "without a login",
                at=at,
                registry=registry,
                status=status,
                variable=VARIABLES[0],
            )
        )
    return StoreError(
        problem(
            "npm-registry",
            "{registry} answered HTTP {status:d}; fetch again later",
            at=at,
            registry=registry,
            status=status,
        )
    )


def _refuse_other(archive: Path, stated: _Dist, *, at: Place) -> None:
    """Raise DataError unless the archive has the strongest checksum that the registry states."""
    sums = dict(part.partition("-")[::2] for part in (stated.integrity or "").split())
    algorithm = next((name for name in _ALGORITHMS if name in sums), None)
    try:
        if algorithm is not None:
            expected = base64.b64decode(sums[algorithm].partition("?")[0], validate=True)
        elif stated.shasum:
            algorithm, expected = "sha1", bytes.fromhex(stated.shasum)
        else:
            return  # each file is still held against the sha256 of the card
    except (ValueError, binascii.Error):
        raise DataError(
            problem("unreadable-checksum", "the registry states an unreadable checksum", at=at)
        ) from None
    if _digest(archive, algorithm) != expected:
        raise DataError(
            problem(
                "wrong-checksum",
                "the archive has another {algorithm} than the registry states; fetch again, and do "
                "not use it if the error persists",
                at=at,
                algorithm=algorithm,
            )
        )


def _digest(path: Path, algorithm: str) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).digest()


def unpack(archive: Path, files: Mapping[str, str], into: Path, *, package: str) -> None:
    """Copy the wanted files out of an archive, each checked. Raises DataError."""
    missing = dict(files)
    at = _place(package)
    try:
        with opened(archive, max_bytes=MAX_UNPACKED_BYTES) as members:
            for member in members:
                if member.name in files:
                    _refuse_odd(member, again=member.name not in missing, at=at)
                    actual = write_member(member, into / member.name)
                    _refuse_changed(member.name, actual, missing.pop(member.name), at=at)
    except ArchiveError as error:
        why = str(error)
        raise DataError(
            problem(
                "damaged-archive",
                "its archive cannot be opened ({why}); fetch again",
                at=at,
                why=why,
            )
        ) from None
    if missing:
        raise DataError(
            problem(
                "no-file",
                "has no file {files!r}; paths begin with `package/`",
                at=at,
                files=list(missing),
            )
        )


def _refuse_odd(member: Member, *, again: bool, at: Place) -> None:
    if again:
        raise DataError(
            problem(
                "file-twice",
                "{file} is in the archive twice; do not use it",
                at=at,
                file=member.name,
            )
        )
    if member.kind != "file":
        raise DataError(
            problem(
                "no-regular-file",
                "{file} is a link, folder or sparse file, not a regular file",
                at=at,
                file=member.name,
            )
        )


def _refuse_changed(file: str, actual: str, stated: str, *, at: Place) -> None:
    if actual != stated:
        raise DataError(
            problem(
                "wrong-checksum",
                "{file}: sha256 is {actual}, the card states {stated}; the file is not the one "
                "that the card was written for",
                at=at,
                file=file,
                actual=actual,
                stated=stated,
            )
        )
