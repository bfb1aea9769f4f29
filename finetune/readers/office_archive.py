"""Checks of office files as ZIP archives, before any library opens them.

A ZIP archive states the sizes of its members, and Python reads no more of a member than that: a
bound on the stated sizes bounds what is read.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from finetune.errors import DataError
from finetune.messages import Place, counted, phrase, problem, sentence
from finetune.readers.guards import bounded, defines_entities, unreadable
from finetune.sources.files import SourceFile
from finetune.sources.inflated import damaged_or_bomb

MAX_UNPACKED_BYTES = 512 * 2**20
MAX_RATIO = 200
"""Unpacked size of an office file per byte; text compresses to a tenth or so."""
RATIO_FROM_BYTES = 16 * 2**20
MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 2 * 2**20
"""Size of an archive's list of members, which is read before its content is known."""
HEAD_BYTES = 4096
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ELEMENT = re.compile(rb"<[A-Za-z_]")
_ENCODING = re.compile(rb"encoding\s{0,9}=\s{0,9}[\"']([^\"']{0,40})")
_ENCODINGS = frozenset({b"utf-8", b"utf-16", b"us-ascii", b"ascii", b"iso-8859-1"})
_END, _END_64 = b"PK\5\6", b"PK\6\7"
_END_BYTES = 22
_ERRORS = (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, ValueError)


@contextmanager
def archive_of(file: SourceFile) -> Iterator[zipfile.ZipFile]:
    """Open an office file.

    Raises DataError for a file that is no archive, is a decompression bomb, has a password, too
    many members or members that no office program writes, or XML with definitions.
    """
    with bounded(file) as stream:
        try:
            _look_at_directory(stream, file)
            archive = zipfile.ZipFile(stream)
            _look_at_members(archive, file, packed=stream.seek(0, 2))
        except _ERRORS as error:
            if isinstance(error, DataError):
                raise
            raise cannot_open(file.place(), error) from None
        with archive:
            yield archive


def checked_archive(file: SourceFile) -> None:
    """Raise DataError for a file that is no office file (see `archive_of`)."""
    with archive_of(file):
        pass


def member(
    archive: zipfile.ZipFile, name: str, *, max_bytes: int, file: SourceFile
) -> bytes | None:
    """Return the content of a member, None if there is none; DataError for a larger one."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        return None
    if info.file_size > max_bytes:
        raise damaged_or_bomb(
            file.place(),
            sentence(
                "{member} unpacks to more than {mib} MiB", member=name, mib=max_bytes // 2**20
            ),
        )
    try:
        return archive.read(info)
    except (*_ERRORS, EOFError) as error:
        raise cannot_open(file.place(), error) from None


def cannot_open(at: Place, error: Exception) -> DataError:
    """Return the error for an archive, or a part of one, that is damaged or has a password."""
    return DataError(
        problem(
            "damaged-archive",
            "cannot be opened ({why}); save it again as a plain, unprotected file of its kind",
            at=at,
            why=str(error)[:120],
        )
    )


def _look_at_directory(stream: BinaryIO, file: SourceFile) -> None:
    """Raise DataError for an archive whose list of members would fill the memory."""
    size_bytes = stream.seek(0, 2)
    stream.seek(max(0, size_bytes - _END_BYTES - 2**16))
    tail = stream.read()
    stream.seek(0)
    plain = len(tail) - _END_BYTES
    at = plain if plain >= 0 and tail.startswith(_END, plain) else tail.rfind(_END)
    if at < 0:
        raise zipfile.BadZipFile("File is not a zip file")
    listed = int.from_bytes(tail[at + 12 : at + 16], "little")
    if listed > MAX_DIRECTORY_BYTES or tail[max(0, at - 20) : at].startswith(_END_64):
        raise damaged_or_bomb(
            file.place(), sentence("lists more than {count} files", count=MAX_MEMBERS)
        )


def _look_at_members(archive: zipfile.ZipFile, file: SourceFile, *, packed: int) -> None:
    members = archive.infolist()
    unpacked = sum(info.file_size for info in members)
    explodes = unpacked > RATIO_FROM_BYTES and unpacked > MAX_RATIO * max(1, packed)
    if unpacked > MAX_UNPACKED_BYTES or explodes:
        sizes = sentence(
            "unpacks from {packed} to {unpacked} bytes", packed=packed, unpacked=unpacked
        )
        raise damaged_or_bomb(file.place(), sizes)
    if len(members) > MAX_MEMBERS or len(archive.NameToInfo) < len(members):
        count = counted(
            "lists {count} file, or one of them twice",
            "lists {count} files, or one of them twice",
            len(members),
        )
        raise damaged_or_bomb(file.place(), count)
    for info in members:
        if info.compress_type not in _METHODS:
            raise NotImplementedError(f"{info.filename[:60]!r} is compressed in another way")
        if info.filename.endswith((".xml", ".rels")):
            with archive.open(info) as opened:
                head = opened.read(HEAD_BYTES)
            at = file.place(part=phrase(info.filename[:60]))
            no_definitions(head, at, whole=len(head) == info.file_size)


def no_definitions(head: bytes, at: Place, *, whole: bool) -> None:
    """Raise DataError for XML with entities, or a hidden beginning; `head`: its first bytes."""
    plain = head.replace(b"\0", b"")  # UTF-16 as well
    upper = plain.upper()
    if b"<!DOCTYPE" in upper or b"<!ENTITY" in upper:
        raise defines_entities(at)
    encoding = _ENCODING.search(plain)
    odd = encoding is not None and encoding[1].lower() not in _ENCODINGS
    if odd or not (whole or _ELEMENT.search(plain)):
        why = sentence("its XML does not begin as office programs write it")
        raise unreadable(at, what=sentence("an office file"), why=why)
