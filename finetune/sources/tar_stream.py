"""Streaming reader of untrusted tar archives: members and their bytes, front to back.

A reader of its own, because Python's trusts what it reads: a chain of extended headers ends in a
RecursionError, a header fills the memory, a size below zero leads backwards, and what protects from
links depends on the version. Here every number is held against what is there before it is used,
nothing is followed and nothing is written.

Read are ustar, GNU and PAX headers, plain or packed with gzip or xz. Formats: POSIX.1-2017 `pax`,
and the manual of GNU tar, "Basic Tar Format".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, Protocol

from finetune.sources.inflated import TORN, inflated

BLOCK = 512
MAX_HEADER_BYTES = 2**20
"""Of one extended header; the longest that tar programs write hold attributes of 64 KiB."""
_MAX_BYTES = 2**63 - 1
_PIECE_BYTES = 2**20

Kind = Literal[
    "file", "folder", "link", "hard link", "device", "pipe", "sparse file", "socket", "?"
]
_KINDS: dict[bytes, Kind] = {
    b"0": "file",
    b"\0": "file",
    b"1": "hard link",
    b"2": "link",
    b"3": "device",
    b"4": "device",
    b"5": "folder",
    b"6": "pipe",
    b"S": "sparse file",
}
_OTHER_PACKINGS = ((b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"PK\3\4", "zip"))


class ArchiveError(ValueError):
    """Fault of an archive, without its path; its reader adds path and remedy."""


class Source(Protocol):
    """Bytes one after the other, of which a stated number is left at most."""

    def read(self, size: int) -> bytes:
        """Return so many bytes, or fewer at the end."""

    def require(self, size_bytes: int) -> None:
        """Raise ArchiveError if so many bytes cannot follow, before any of them is read."""

    def skip(self, size_bytes: int) -> None:
        """Pass over bytes. Raises ArchiveError if the archive ends before."""


@dataclass(slots=True)
class Member:
    """Content of one header. `blocks` is there until the next member is asked for."""

    name: str
    """As the archive has it; bytes that are not UTF-8 are lone surrogates."""
    kind: Kind
    size_bytes: int
    source: Source = field(repr=False)
    left_bytes: int = 0

    def blocks(self) -> Iterator[bytes]:
        """Yield the content, whole: ArchiveError if the archive ends before it."""
        while self.left_bytes:
            data = self.source.read(min(self.left_bytes, _PIECE_BYTES))
            if not data:
                raise ArchiveError(f"{shown(self.name)}: the archive ends in the middle of it")
            self.left_bytes -= len(data)
            yield data


def shown(name: str) -> str:
    """Spell a foreign name for a message: quoted, short, without anything that a terminal obeys.

    >>> shown("a\\x1b[2J")
    "'a\\\\x1b[2J'"
    """
    return repr(name if len(name) <= 120 else f"{name[:60]}...{name[-50:]}")


@contextmanager
def opened(path: Path, *, max_bytes: int) -> Iterator[Iterator[Member]]:
    """Give the members of a tar file, in its order.

    Args:
        path: A regular file, as the caller ensured.
        max_bytes: To how many bytes it may unpack if it is packed, headers included.

    Raises:
        ArchiveError: it is no tar file, torn, damaged, hostile or unpacks to more; also while the
            members are asked for.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(6)
        file.seek(0)
        other = next((name for start, name in _OTHER_PACKINGS if head.startswith(start)), None)
        if other:
            raise ArchiveError(f"is packed with {other}; only tar, gzip and xz are read")
        try:
            if (plain := inflated(file, head)) is not None:
                yield _members(_Packed(plain, max_bytes))
            else:
                yield _members(_Plain(file, os.fstat(file.fileno()).st_size))
        except TORN as error:
            raise ArchiveError(f"cannot be unpacked ({error})") from None


def _members(source: Source) -> Iterator[Member]:
    extended = _Extended()
    last: str | None = None
    while True:
        header = source.read(BLOCK)
        try:
            if _is_end(header):
                _nothing_more(source, extended)
                return
        except ArchiveError as error:
            raise ArchiveError(f"after {shown(last)}: {error}" if last else str(error)) from None
        last = _text(extended.name if extended.name is not None else _short_name(header))
        try:
            member = _read(header, source, extended, name=last)
        except ArchiveError as error:
            raise ArchiveError(f"{shown(last)}: {error}") from None
        if member is not None:
            extended = _Extended()
            yield member
            source.skip(member.left_bytes + -member.size_bytes % BLOCK)


def _read(header: bytes, source: Source, extended: _Extended, *, name: str) -> Member | None:
    """Return the member that a header begins; None for a header that extends the next one."""
    type_ = header[156:157]
    size_bytes = _number(header[124:136])
    source.require(size_bytes)
    if type_ in (b"L", b"K", b"x", b"g"):
        extended.add(type_, _header_content(source, size_bytes))
        return None
    if extended.size is not None:
        size_bytes = extended.size
        source.require(size_bytes)
    kind = _KINDS.get(type_, "?")
    if kind == "file" and type_ == b"\0" and name.endswith("/"):  # before ustar had a type for it
        kind = "folder"
    if extended.sparse:
        kind = "sparse file"
    if kind not in ("file", "sparse file", "?") and size_bytes:
        raise ArchiveError(f"is a {kind} that declares content")
    if type_ == b"S":
        _pass_over_map(header, source)
    return Member(name, kind, size_bytes, source, left_bytes=size_bytes)


@dataclass(slots=True)
class _Extended:
    """Extended headers of a member."""

    name: bytes | None = None
    size: int | None = None
    sparse: bool = False
    seen: set[bytes] = field(default_factory=set)

    def add(self, type_: bytes, content: bytes) -> None:
        if type_ in self.seen:
            raise ArchiveError("is the second header of one kind in a row")
        self.seen.add(type_)
        if type_ == b"L":
            self._call(content.rstrip(b"\0"))
        elif type_ == b"x":
            self._take(_records(content))
        elif type_ == b"g":
            self.seen.discard(type_)
            ours = {b"path", b"size"} & _records(content).keys()
            if ours or any(key.startswith(b"GNU.sparse") for key in _records(content)):
                raise ArchiveError("is a header that gives all members one name or size")

    def _take(self, records: dict[bytes, bytes]) -> None:
        self.sparse = any(key.startswith(b"GNU.sparse") for key in records)
        name = records.get(b"GNU.sparse.name", records.get(b"path"))
        if name is not None:
            self._call(name)
        if b"size" in records:
            if not re.fullmatch(rb"[0-9]{1,19}", records[b"size"]):
                raise ArchiveError("its header gives a size that is no number of bytes")
            self.size = int(records[b"size"])

    def _call(self, name: bytes) -> None:
        if self.name not in (None, name):
            raise ArchiveError("its headers give it two names")
        self.name = name


def _header_content(source: Source, size_bytes: int) -> bytes:
    if size_bytes > MAX_HEADER_BYTES:
        raise ArchiveError(f"is a header of {size_bytes:,} bytes")
    padded = size_bytes + -size_bytes % BLOCK
    content = source.read(padded)
    if len(content) < padded:
        raise ArchiveError("the archive ends in the middle of this header")
    return content[:size_bytes]


def _records(content: bytes) -> dict[bytes, bytes]:
    """Return the records of a PAX header, `LENGTH KEY=VALUE` and a line end each."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 21)
        digits = content[at:space] if space > 0 else b""
        end = at + int(digits) if re.fullmatch(rb"[0-9]{1,19}", digits) else 0
        if not space < end <= len(content) or content[end - 1 : end] != b"\n":
            raise ArchiveError("is a damaged header")
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        if not equals or found.setdefault(key, value) != value:
            raise ArchiveError("is a header with contradictory or no content")
        at = end
    return found


def _short_name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0]
    return prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _number(digits: bytes) -> int:
    """Return a size: octal digits, or binary with the first bit set (GNU, from 8 GiB)."""
    if digits[0] & 0x80:
        value = int.from_bytes(bytes([digits[0] & 0x7F]) + digits[1:], "big")
        if digits[0] & 0x40 or value > _MAX_BYTES:
            raise ArchiveError("its header gives a size below zero or beyond any disk")
        return value
    plain = digits.partition(b"\0")[0].strip(b" ")
    if not re.fullmatch(rb"[0-7]*", plain):
        raise ArchiveError("its header gives a size that is no number")
    return int(plain or b"0", 8)


def _is_end(header: bytes) -> bool:
    """True if a block of zeros ends the archive here; ArchiveError if it is no sound header."""
    if len(header) < BLOCK:
        raise ArchiveError("is no tar file, or only the beginning of one")
    if not any(header):
        return True
    stated = header[148:156].strip(b" \0")
    plain = header[:148] + b" " * 8 + header[156:]
    unsigned = sum(plain)
    signed = unsigned - 256 * sum(byte > 127 for byte in plain)  # as old programs counted
    if not re.fullmatch(rb"[0-7]+", stated) or int(stated, 8) not in (unsigned, signed):
        raise ArchiveError("is no tar file, or a header of it is damaged")
    return False


def _pass_over_map(header: bytes, source: Source) -> None:
    """Pass over the blocks that say where the holes of a sparse file of GNU are."""
    more = header[482:483] not in (b"\0", b"")
    while more:
        block = source.read(BLOCK)
        if len(block) < BLOCK:
            raise ArchiveError("the archive ends in the middle of its header")
        more = block[504:505] != b"\0"


def _nothing_more(source: Source, extended: _Extended) -> None:
    """Read to the end: a packed file is whole only if its own checksum is, and that comes last."""
    while data := source.read(_PIECE_BYTES):
        if data.strip(b"\0"):
            raise ArchiveError("goes on after its end")
    if extended.seen:
        raise ArchiveError("ends with a header that belongs to nothing")


class _Plain:
    """A file that is not packed: what it holds is known before it is read."""

    def __init__(self, file: IO[bytes], size_bytes: int) -> None:
        self._file = file
        self._left = size_bytes

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data

    def require(self, size_bytes: int) -> None:
        if size_bytes > self._left:
            raise ArchiveError("is larger than what is left of the archive")

    def skip(self, size_bytes: int) -> None:
        self.require(size_bytes)
        self._file.seek(size_bytes, 1)
        self._left -= size_bytes


class _Packed:
    """A packed file, and how many bytes may still come out of it."""

    def __init__(self, stream: IO[bytes], max_bytes: int) -> None:
        self._stream = stream
        self._max = self._left = max_bytes

    def read(self, size: int) -> bytes:
        """Return exactly so many bytes unless it ends; one more than may come is one too many."""
        pieces = []
        while size and (piece := self._stream.read(min(size, self._left + 1))):
            self._left -= len(piece)
            size -= len(piece)
            self.require(0)
            pieces.append(piece)
        return b"".join(pieces)

    def require(self, size_bytes: int) -> None:
        if size_bytes > self._left:
            raise ArchiveError(f"unpacks to more than {max(1, self._max // 2**20)} MiB")

    def skip(self, size_bytes: int) -> None:
        while size_bytes:
            data = self.read(min(size_bytes, _PIECE_BYTES))
            if not data:
                raise ArchiveError("is larger than what is left of the archive")
            size_bytes -= len(data)
