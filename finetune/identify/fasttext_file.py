"""Checks of a file in fastText's format, before native code opens it.

The library trusts the numbers in a file: a damaged or hostile one would make it allocate what it
states, divide by zero or read beyond its matrices, and the process would end. So every number that
the library computes with is compared with the file first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.output.small_files import UnreadableError, open_regular

MAGIC = 793712314
VERSIONS = (11, 12)
SUPERVISED = 3
WORD, LABEL = 0, 1
VERSION_OF_WORDS = 11
"""In which supervised models have no n-grams of letters, whatever the file states."""
MAX_GRAM = 1000
"""Words or letters in an n-gram: the library makes all of them up to this length."""
MAX_WORD_BYTES = 65536
_CENTROIDS = 256
"""Clusters of a product quantiser, which fastText fixes."""
_MAX_COUNT = 10**15
"""The count that stands for infinity in the tree of a hierarchical softmax."""


@dataclass(frozen=True, slots=True)
class FastTextFile:
    """A supervised model: its labels as written in it, and the size of its vectors."""

    labels: tuple[str, ...]
    dimensions: int


class _Bad(Exception):
    """The file cannot be used; the message is the reason."""


def read_fasttext_file(path: Path) -> FastTextFile:
    """Read the labels of a model file and check that its parts have the sizes that it states.

    Raises DataError with what is wrong.
    """
    try:
        with open_regular(path) as file:
            size_bytes = file.seek(0, 2)
            file.seek(0)
            return _read(file, size_bytes)
    except OSError as error:
        raise DataError(
            problem("cannot-be-read", "cannot be read: {why}", at=Place(path), why=error.strerror)
        ) from None
    except UnreadableError as error:
        raise DataError(
            problem(
                "no-regular-file", "{why}; name a model file", at=Place(path), why=error.args[0]
            )
        ) from None
    except _Bad as error:
        raise DataError(
            problem(
                "damaged-fasttext",
                "{why}; name a supervised model in fastText's format (.bin or .ftz), and compare "
                "its checksum with that of its source",
                at=Place(path),
                why=str(error),
            )
        ) from None


def _read(file: BinaryIO, size_bytes: int) -> FastTextFile:
    magic, version = _numbers(file, "<ii")
    if magic != MAGIC:
        raise _Bad("this is no model of fastText (it begins with other bytes)")
    if version not in VERSIONS:
        raise _Bad(f"version {version} of the format is not known")
    dimensions, *_, grams, _, kind, buckets, shortest, longest, _, _ = _numbers(file, "<12id")
    if kind != SUPERVISED:
        raise _Bad("this is a model of word vectors, which has no labels")
    if dimensions <= 0:
        raise _Bad(f"vectors of {dimensions} numbers make no sense")
    if min(grams, shortest, longest, buckets) < 0 or max(grams, longest) > MAX_GRAM:
        raise _Bad(f"n-grams of {grams} words, and of {shortest} to {longest} letters")
    if not buckets and (grams > 1 or (longest > 0 and version > VERSION_OF_WORDS)):
        raise _Bad("n-grams, but no rows for them")
    labels, rows = _labels(file, size_bytes, buckets=buckets)
    quantised = _flag(file)
    _matrix(file, size_bytes, quantised=quantised, rows=rows, columns=dimensions)
    packed = _flag(file) and quantised
    _matrix(file, size_bytes, quantised=packed, rows=len(labels), columns=dimensions)
    if file.tell() != size_bytes:
        raise _Bad(f"{size_bytes - file.tell()} bytes follow its end")
    return FastTextFile(labels, dimensions)


def _labels(file: BinaryIO, size_bytes: int, *, buckets: int) -> tuple[tuple[str, ...], int]:
    """Return the labels, and the rows of the matrix that words and n-grams look up."""
    entries, words, labels, _, pruned = _numbers(file, "<iiiqq")
    if min(entries, words, labels) < 0 or words + labels != entries or entries > size_bytes:
        raise _Bad(f"a dictionary of {entries} entries, {words} words and {labels} labels")
    if labels < 2:
        raise _Bad(f"a model cannot separate languages by so few labels ({labels})")
    found = []
    for number, (text, count, kind) in enumerate(_entries(file, entries)):
        if kind != (LABEL if number >= words else WORD):
            raise _Bad(f"entry {number} of its dictionary is no word, or no label")
        if not 0 <= count < _MAX_COUNT:
            raise _Bad(f"entry {number} of its dictionary was seen {count} times")
        if kind == LABEL:
            found.append(text)
    rows = words + (buckets if pruned < 0 else _pruned(file, size_bytes, pruned))
    try:
        return tuple(raw.decode() for raw in found), rows
    except UnicodeDecodeError as error:
        raise _Bad(f"a label is not UTF-8 ({error.reason})") from None


def _pruned(file: BinaryIO, size_bytes: int, count: int) -> int:
    """Return how many rows the n-grams that pruning left look up."""
    if file.tell() + 8 * count > size_bytes:
        raise _Bad("it ends in the list of n-grams that pruning left")
    data = file.read(8 * count)
    rows = [row for _, row in struct.iter_unpack("<ii", data)]
    if min(rows, default=0) < 0:
        raise _Bad("an n-gram looks up a row before the first")
    return max(rows, default=-1) + 1


def _entries(file: BinaryIO, number: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield text, count and kind of each entry: NUL-ended text, i64 count, i8 kind."""
    buffer, place, found = b"", 0, 0
    while found < number:
        end = buffer.find(b"\0", place)
        if end < 0 or end + 10 > len(buffer):
            more = file.read(1 << 20)
            if not more or len(buffer) - place > MAX_WORD_BYTES + (1 << 20):
                raise _Bad(f"its dictionary ends after {found} of {number} entries")
            buffer, place = buffer[place:] + more, 0
            continue
        count, kind = struct.unpack_from("<qB", buffer, end + 1)
        yield buffer[place:end], count, kind
        found += 1
        place = end + 10
    file.seek(place - len(buffer), 1)


def _matrix(file: BinaryIO, size_bytes: int, *, quantised: bool, rows: int, columns: int) -> None:
    """Pass by a matrix. `rows`: how many are looked up; there may be more."""
    if not quantised:
        there, width = _numbers(file, "<qq")
        if there < rows or width != columns:
            raise _Bad(f"a matrix of {there} x {width} numbers where {rows} x {columns} belong")
        _skip(file, size_bytes, 4 * there * width)
        return
    with_norms = _flag(file)
    there, width, codes = _numbers(file, "<qqi")
    if there < rows or codes < 0 or width != columns:
        raise _Bad(f"a packed matrix of {there} x {width} numbers where {rows} x {columns} belong")
    _skip(file, size_bytes, codes)
    parts = _quantiser(file, size_bytes, columns=columns)
    if codes != there * parts:
        raise _Bad(f"{codes} codes for {there} rows of {parts} parts")
    if with_norms:
        _skip(file, size_bytes, there)
        _quantiser(file, size_bytes, columns=1)


def _quantiser(file: BinaryIO, size_bytes: int, *, columns: int) -> int:
    """Pass by the centroids of a packed matrix; return into how many parts a row is packed."""
    width, parts, part, last = _numbers(file, "<4i")
    if width != columns or min(parts, part, last) <= 0 or (parts - 1) * part + last != width:
        raise _Bad(f"a quantiser of {parts} parts for {width} numbers")
    _skip(file, size_bytes, 4 * _CENTROIDS * width)
    return parts


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
