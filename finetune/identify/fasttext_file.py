"""What a file in fastText's format says about itself, read before native code opens it.

The library trusts the sizes in a file: a damaged or hostile one would make it allocate what it
says, or read past its end. So every size is compared with the file's first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from finetune.errors import DataError

MAGIC = 793712314
VERSIONS = (11, 12)
SUPERVISED = 3
LABEL = 1
MAX_WORD_BYTES = 65536
_CENTROIDS = 256
"""Clusters of a product quantiser, which fastText fixes."""


@dataclass(frozen=True, slots=True)
class FastTextFile:
    """A supervised model: its labels as written in it, and the size of its vectors."""

    labels: tuple[str, ...]
    dimensions: int


class _Bad(Exception):
    """Why the file is none that can be used."""


def read_fasttext_file(path: Path) -> FastTextFile:
    """Read the labels of a model file and check that its parts have the sizes that it states.

    Raises DataError with what is wrong.
    """
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            file.seek(0)
            return _read(file, size_bytes)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except _Bad as error:
        raise DataError(
            f"{path}: {error}; name a supervised model in fastText's format (.bin or .ftz), "
            "and compare its checksum with the place it came from"
        ) from None


def _read(file: BinaryIO, size_bytes: int) -> FastTextFile:
    magic, version = _numbers(file, "<ii")
    if magic != MAGIC:
        raise _Bad("this is no model of fastText (it begins with other bytes)")
    if version not in VERSIONS:
        raise _Bad(f"version {version} of the format is not known")
    dimensions, *_, kind, _, _, _, _, _ = _numbers(file, "<12id")
    if kind != SUPERVISED:
        raise _Bad("this is a model of word vectors, which has no labels")
    if dimensions <= 0:
        raise _Bad(f"vectors of {dimensions} numbers make no sense")
    labels = _labels(file, size_bytes)
    quantised = _flag(file)
    _matrix(file, size_bytes, quantised=quantised, columns=dimensions)
    _matrix(file, size_bytes, quantised=_flag(file) and quantised, columns=dimensions)
    if file.tell() != size_bytes:
        raise _Bad(f"{size_bytes - file.tell()} bytes follow its end")
    return FastTextFile(labels, dimensions)


def _labels(file: BinaryIO, size_bytes: int) -> tuple[str, ...]:
    entries, words, labels, _, pruned = _numbers(file, "<iiiqq")
    if min(entries, words, labels) < 0 or words + labels != entries or entries > size_bytes:
        raise _Bad(f"a dictionary of {entries} entries, {words} words and {labels} labels")
    if labels < 2:
        raise _Bad(f"a model of {labels} label(s) tells nothing apart")
    found = []
    for text, kind in _entries(file, entries):
        if kind == LABEL:
            found.append(text)
    if len(found) != labels:
        raise _Bad(f"{len(found)} labels where {labels} are announced")
    if pruned > 0:
        _skip(file, size_bytes, 8 * pruned)
    try:
        return tuple(raw.decode() for raw in found)
    except UnicodeDecodeError as error:
        raise _Bad(f"a label is not UTF-8 ({error.reason})") from None


def _entries(file: BinaryIO, number: int) -> list[tuple[bytes, int]]:
    """Return text and kind of the dictionary's entries: NUL-ended text, i64 count, i8 kind."""
    found: list[tuple[bytes, int]] = []
    buffer, place = b"", 0
    while len(found) < number:
        end = buffer.find(b"\0", place)
        if end < 0 or end + 10 > len(buffer):
            more = file.read(1 << 20)
            if not more or len(buffer) - place > MAX_WORD_BYTES + (1 << 20):
                raise _Bad(f"its dictionary ends after {len(found)} of {number} entries")
            buffer, place = buffer[place:] + more, 0
            continue
        found.append((buffer[place:end], buffer[end + 9]))
        place = end + 10
    file.seek(place - len(buffer), 1)
    return found


def _matrix(file: BinaryIO, size_bytes: int, *, quantised: bool, columns: int) -> None:
    if not quantised:
        rows, width = _numbers(file, "<qq")
        if rows <= 0 or width != columns:
            raise _Bad(f"a matrix of {rows} x {width} numbers where {columns} columns belong")
        _skip(file, size_bytes, 4 * rows * width)
        return
    with_norms = _flag(file)
    rows, width, codes = _numbers(file, "<qqi")
    if rows <= 0 or codes <= 0 or width != columns:
        raise _Bad(f"a packed matrix of {rows} x {width} numbers where {columns} columns belong")
    _skip(file, size_bytes, codes)
    _quantiser(file, size_bytes, columns=columns)
    if with_norms:
        _skip(file, size_bytes, rows)
        _quantiser(file, size_bytes, columns=1)


def _quantiser(file: BinaryIO, size_bytes: int, *, columns: int) -> None:
    width, parts, part, last = _numbers(file, "<4i")
    if width != columns or min(parts, part, last) <= 0 or (parts - 1) * part + last != width:
        raise _Bad(f"a quantiser of {parts} parts for {width} numbers")
    _skip(file, size_bytes, 4 * _CENTROIDS * width)


def _flag(file: BinaryIO) -> bool:
    [value] = _numbers(file, "<B")
    if value > 1:
        raise _Bad(f"{value} where yes (1) or no (0) belongs")
    return bool(value)


def _skip(file: BinaryIO, size_bytes: int, count: int) -> None:
    if file.tell() + count > size_bytes:
        raise _Bad(f"it ends {file.tell() + count - size_bytes} bytes too early")
    file.seek(count, 1)


def _numbers(file: BinaryIO, form: str) -> tuple[int, ...]:
    data = file.read(struct.calcsize(form))
    if len(data) < struct.calcsize(form):
        raise _Bad("it ends too early")
    return struct.unpack(form, data)
