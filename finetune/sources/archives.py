"""Safe unpacking of archives: named, regular files of a stated size.

A tar file and a folder are read in the same way, by the same rules. Only requested files are
written, under a name of the caller's choice, with as many bytes as stated before. Links are not
followed, made or kept, and an archive is not extracted as a whole.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from finetune.sources.tar_stream import ArchiveError, Kind, Member, opened, shown

MAX_MEMBERS = 200_000
MAX_DEPTH = 32
MAX_NAME_BYTES = 1024
MAX_PART_BYTES = 255
"""The longest name of one file or folder on the usual file systems."""
MAX_RATIO, RATIO_FROM_BYTES = 100, 256 * 2**20
"""Weights pack to half, texts to a tenth; above this size nothing honest packs to a hundredth."""
_FOLDER_KINDS: tuple[tuple[Callable[[int], bool], Kind], ...] = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "folder"),
    (stat.S_ISLNK, "link"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
    (stat.S_ISSOCK, "socket"),
)


@contextmanager
def files_in(source: Path) -> Iterator[Iterator[Member]]:
    """Give the regular files of a tar file or a folder, each by its name below the top.

    A member that is anything else than a file or a folder, or is called in a way that could lead
    elsewhere, ends it with its name; folders are skipped. Names are unique, and none of them is
    a folder of another.

    Raises:
        ArchiveError: as `tar_stream.opened`, or because of a member; also while they are asked for.
        OSError: it is not there or cannot be read.
    """
    if source.is_dir():
        yield _regular(_members_of_folder(source))
        return
    if not source.is_file():
        raise ArchiveError("is no file and no folder")
    max_bytes = max(RATIO_FROM_BYTES, MAX_RATIO * source.stat().st_size)
    with opened(source, max_bytes=max_bytes) as members:
        yield _regular(members)


def refused_name(name: str) -> str | None:
    """Return why a name from outside cannot be a path below a folder; None if it can.

    >>> refused_name("project/data_cards/kàddu.txt")
    >>> refused_name("a/../../b")
    "has the part '..'"
    """
    return next(_objections(name), None)


def _objections(name: str) -> Iterator[str]:
    parts = name.split("/")
    if name.startswith("/"):
        yield "is absolute"
    if "" in parts:
        yield "has an empty part"
    yield from (f"has the part {part!r}" for part in parts if not part.strip(". "))
    joined = name.replace("\u200c", "").replace("\u200d", "")  # joiners are part of scripts
    if "\\" in name or not joined.isprintable():
        yield "holds a backslash or an invisible character"
        return
    if len(parts) > MAX_DEPTH:
        yield f"lies more than {MAX_DEPTH} folders deep"
    size_bytes = [len(part.encode()) for part in parts]
    if max(size_bytes) > MAX_PART_BYTES or sum(size_bytes) + len(parts) > MAX_NAME_BYTES:
        yield "is longer than a system allows"


def write_member(member: Member, target: Path, *, synced: bool = False) -> str:
    """Write a file to a path that is not there yet, with its folders; return its sha256.

    Raises:
        ArchiveError: the archive ends before, or the disk takes the name for that of another file.
        OSError: the disk is full, or one may not write there.
    """
    digest = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    except (FileExistsError, NotADirectoryError):
        raise ArchiveError(f"{shown(member.name)}: is taken here for another file's name") from None
    except UnicodeEncodeError:
        raise ArchiveError(f"{shown(member.name)}: cannot be written in this locale") from None
    with file:
        for block in member.blocks():
            digest.update(block)
            file.write(block)
        if synced:
            file.flush()
            os.fsync(file.fileno())
    return digest.hexdigest()


def content_of(member: Member, *, max_bytes: int) -> bytes:
    """Return a small file whole. ArchiveError if it is larger than `max_bytes`."""
    if member.size_bytes > max_bytes:
        raise ArchiveError(f"{shown(member.name)}: is larger than {max_bytes // 2**20} MiB")
    return b"".join(member.blocks())


def sha256_of_member(member: Member) -> str:
    """Return the sha256 of a file's content, which is read and not kept."""
    digest = hashlib.sha256()
    for block in member.blocks():
        digest.update(block)
    return digest.hexdigest()


@dataclass(slots=True)
class _Names:
    """The names so far, so that no two members meet."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    def add(self, name: str, *, is_file: bool) -> None:
        if len(self.files) + len(self.folders) >= MAX_MEMBERS:  # folders that only names imply, too
            raise ArchiveError(f"holds more than {MAX_MEMBERS:,} files and folders")
        if why := refused_name(name):
            raise ArchiveError(f"{shown(name)}: {why}")
        parts = name.split("/")
        above = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if met := self.files & (above | {name}):
            same = "is in it twice" if name in met else "lies below a file"
            raise ArchiveError(f"{shown(name)}: {same}")
        if is_file and name in self.folders:
            raise ArchiveError(f"{shown(name)}: is a file and a folder")
        self.folders |= above
        (self.files if is_file else self.folders).add(name)


def _regular(members: Iterable[Member]) -> Iterator[Member]:
    names = _Names()
    for member in members:
        if member.kind not in ("file", "folder"):
            a = "something else than a file" if member.kind == "?" else f"a {member.kind}"
            raise ArchiveError(f"{shown(member.name)}: is {a}; only files and folders are taken")
        is_file = member.kind == "file"
        name = member.name.removeprefix("./")  # `tar cf x.tar ./folder`
        if not is_file:
            name = name.rstrip("/")
            if name in ("", "."):
                continue
        names.add(name, is_file=is_file)
        if is_file:
            member.name = name
            yield member


def _members_of_folder(root: Path) -> Iterator[Member]:
    """Yield the members of a folder; no link is followed, and no name is trusted."""
    waiting = [""]
    while waiting:
        above = waiting.pop()
        with os.scandir(root / above) as entries:
            found = sorted(islice(entries, MAX_MEMBERS + 1), key=lambda entry: entry.name)
        for entry in found:
            name = f"{above}{entry.name}"
            status = entry.stat(follow_symlinks=False)
            kind = _kind(status.st_mode)
            with _Opened(root / name if kind == "file" else None, status.st_size) as source:
                size_bytes = status.st_size if kind == "file" else 0
                yield Member(name, kind, size_bytes, source, left_bytes=size_bytes)
            if kind == "folder":
                waiting.append(f"{name}/")


def _kind(mode: int) -> Kind:
    return next((kind for test, kind in _FOLDER_KINDS if test(mode)), "?")


class _Opened:
    """A file of a folder, opened when its first byte is asked for."""

    def __init__(self, path: Path | None, size_bytes: int) -> None:
        self._path = path
        self._size = size_bytes
        self._descriptor: int | None = None

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def read(self, size: int) -> bytes:
        if self._path is None:
            return b""
        if self._descriptor is None:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # it may have changed since
            self._descriptor = os.open(self._path, flags)
            status = os.fstat(self._descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size != self._size:
                raise ArchiveError(f"{shown(self._path.name)}: changed while it was read")
        return os.read(self._descriptor, size)

    def require(self, size_bytes: int) -> None:
        """Do nothing: reading is bounded by the size of the file."""

    def skip(self, size_bytes: int) -> None:
        """Do nothing: the next file is another one."""
