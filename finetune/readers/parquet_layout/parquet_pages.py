"""Sizes of the pages of a Parquet file, from their headers, before anything is unpacked.

A page is unpacked as a whole, up to two gigabytes out of some kilobytes, and one value of a
dictionary may stand in every row. The footer's own statement of sizes need not be true; the headers
of the pages are what the library unpacks by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from finetune.readers.parquet_layout.parquet_footer import Chunk, Footer
from finetune.readers.parquet_layout.thrift_compact import I32, STRUCT, Struct, decoded

HEADER_BYTES = 2**16
"""Of a page; its statistics may hold a value. Larger ones are read again with more."""
MAX_HEADER_BYTES = 16 * 2**20
_KINDS = (5, 7, 8)
"""Fields of a page header with the header of its kind, whose first field is the count of values."""
_DICTIONARY = 2


@dataclass(frozen=True, slots=True)
class Pages:
    """The largest of a file's pages."""

    bytes: int
    """Unpacked."""
    repeated: int
    """Values of a column that has lists in a row; 0 if none has."""


@dataclass(frozen=True, slots=True)
class _Page:
    """Facts of a page header; `packed` and `unpacked` in bytes."""

    kind: int
    unpacked: int
    packed: int
    values: int


def largest_pages(stream: BinaryIO, footer: Footer, names: Sequence[str]) -> Pages:
    """Look at the page headers of some top columns. ValueError for a file that contradicts itself.

    `footer`: the file's, checked.
    """
    largest = repeated = 0
    for chunks in footer.groups:
        for column, chunk in zip(footer.columns, chunks, strict=True):
            if column.path[0] not in names:
                continue
            for page in _pages(stream, chunk):
                largest = max(largest, page.unpacked)
                repeated = max(repeated, page.values) if column.repeats else repeated
    return Pages(largest, repeated)


def _pages(stream: BinaryIO, chunk: Chunk) -> list[_Page]:
    """Return every page of a column in a row group."""
    at, values = chunk.begin, 0
    pages = []
    while at < chunk.end and values < chunk.values:
        page, header_bytes = _header(stream, at)
        at += header_bytes + page.packed
        values += page.values if page.kind != _DICTIONARY else 0
        pages.append(page)
    return pages


def _header(stream: BinaryIO, at: int) -> tuple[_Page, int]:
    """Return the page at a byte of the file, and the bytes of its header."""
    length = HEADER_BYTES
    while True:
        stream.seek(at)
        data = stream.read(length)
        try:
            fields, header_bytes = decoded(data)
            return _page(fields), header_bytes
        except IndexError:
            if length >= MAX_HEADER_BYTES or len(data) < length:
                raise ValueError("a page header is torn") from None
            length = MAX_HEADER_BYTES


def _page(fields: Struct) -> _Page:
    kind, unpacked, packed = (_count(fields, number) for number in (1, 2, 3))
    of_kind = [fields[number][1] for number in _KINDS if fields.get(number, (0,))[0] == STRUCT]
    values = max((_count(inner, 1) for inner in of_kind), default=0)
    return _Page(kind, unpacked, packed, values)


def _count(fields: Struct, number: int) -> int:
    """Return a field that counts something; 0 if it is not there."""
    kind, value = fields.get(number, (I32, 0))
    if kind != I32 or value < 0:
        raise ValueError("a page header has a size that is no size")
    return int(value)
