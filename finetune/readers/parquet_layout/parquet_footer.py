"""The footer of a Parquet file: read, held against bounds, and written anew for the library.

Parts of pyarrow end the process when a footer contradicts itself, because C++ exceptions cross
functions that Python cannot catch them from. So the library never sees the footer of a stranger:
it gets one with the fields that reading a table needs, each of which was checked here. Statistics,
indexes, Bloom filters and other statements of a file are dropped.

Source of the field numbers: `parquet.thrift` of the Parquet format 2.11.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from finetune.readers.parquet_layout.thrift_compact import (
    BINARY,
    I32,
    I64,
    LIST,
    STRUCT,
    Struct,
    decoded,
    encoded,
)

MAGIC = b"PAR1"
TAIL_BYTES = 8
"""Length of the footer and the magic word, behind the footer."""
MAX_FOOTER_BYTES = 64 * 2**20
MAX_DEPTH = 32
"""Of columns in columns."""
_TYPES, _REPETITIONS, _CODECS, _ENCODINGS = range(8), range(3), range(8), range(10)
_REPEATED = 2
_CONVERTED = range(22)
_LAST_LOGICAL_TYPE = 15
"""Shapes on the globe and what later versions add are read as the type that stores them."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Byte range of a column in a row group."""

    begin: int
    end: int
    values: int


@dataclass(frozen=True, slots=True)
class Column:
    """A column that holds values, perhaps inside others."""

    path: tuple[str, ...]
    type: int
    repeats: bool
    """True if a row may hold many of its values: it lies in a list."""


@dataclass(frozen=True, slots=True)
class Footer:
    """The part of a footer that reading a table needs."""

    columns: tuple[Column, ...]
    groups: tuple[tuple[Chunk, ...], ...]
    """Chunks of each row group, in the order of the columns."""
    rows: int
    names: tuple[str, ...]
    """Of the columns at the top."""
    rewritten: bytes
    """A Parquet file without data that has this footer and nothing else in it."""


def read_footer(stream: BinaryIO) -> Footer:
    """Return the checked footer of a Parquet file. ValueError for one that cannot be read by."""
    size_bytes = stream.seek(0, 2)
    if size_bytes < len(MAGIC) + TAIL_BYTES:
        raise ValueError("it is too short")
    stream.seek(size_bytes - TAIL_BYTES)
    tail = stream.read(TAIL_BYTES)
    if tail[4:] == b"PARE":
        raise ValueError("it is encrypted")
    if tail[4:] != MAGIC:
        raise ValueError("its last four bytes are not PAR1")
    length = struct.unpack("<I", tail[:4])[0]
    begin = size_bytes - TAIL_BYTES - length
    if begin < len(MAGIC):
        raise ValueError("its footer is longer than the file")
    if length > MAX_FOOTER_BYTES:
        raise ValueError(f"its footer is larger than {MAX_FOOTER_BYTES // 2**20} MiB")
    stream.seek(begin)
    try:
        fields, _ = decoded(stream.read(length))
    except IndexError:
        raise ValueError("its footer is torn") from None
    return _checked(fields, data_bytes=begin)


def _checked(fields: Struct, *, data_bytes: int) -> Footer:
    if 8 in fields:
        raise ValueError("it is encrypted")
    schema = [_schema_element(one) for one in _items(fields, 2, STRUCT)]
    columns, names = _columns(schema)
    groups, rows, written = [], 0, []
    for group in _items(fields, 4, STRUCT):
        chunks = _items(group, 1, STRUCT)
        if len(chunks) != len(columns):
            raise ValueError("a row group has not the columns of the table")
        pairs = [
            _chunk(one, column, data_bytes) for one, column in zip(chunks, columns, strict=True)
        ]
        groups.append(tuple(chunk for chunk, _ in pairs))
        group_rows = _number(group, 3, I64)
        rows += group_rows
        written.append(
            {
                1: (LIST, (STRUCT, [kept for _, kept in pairs])),
                2: (I64, sum(kept[3][1][6][1] for _, kept in pairs)),
                3: (I64, group_rows),
            }
        )
    footer = encoded(
        {
            1: (I32, 2),
            2: (LIST, (STRUCT, schema)),
            3: (I64, rows),
            4: (LIST, (STRUCT, written)),
        }
    )
    rewritten = MAGIC + footer + struct.pack("<I", len(footer)) + MAGIC
    return Footer(tuple(columns), tuple(groups), rows, names, rewritten)


def _schema_element(one: Struct) -> Struct:
    """Return the fields to keep of an element of the schema."""
    kept: Struct = {4: (BINARY, _text(one, 4).encode())}
    for number, allowed in ((1, _TYPES), (3, _REPETITIONS), (6, _CONVERTED)):
        if number in one:
            kept[number] = (I32, _among(one, number, allowed))
    for number in (2, 5, 7, 8):  # lengths, children, scale and precision of decimal numbers
        if number in one:
            kept[number] = (I32, _number(one, number, I32))
    if 10 in one:
        logical = _field(one, 10, STRUCT)
        if len(logical) == 1 and max(logical) <= _LAST_LOGICAL_TYPE:
            kept[10] = (STRUCT, logical)
    return kept


def _columns(schema: Sequence[Struct]) -> tuple[list[Column], tuple[str, ...]]:
    """Return the columns that hold values, and the names at the top, of a flattened tree."""
    if not schema:
        raise ValueError("it has no schema")
    elements = iter(schema)
    root = next(elements)
    if 1 in root:
        raise ValueError("its schema is a value and no table")
    names: list[str] = []
    columns: list[Column] = []
    _descend(elements, _children(root), (), False, columns, names)
    if next(elements, None) is not None:
        raise ValueError("its schema has more columns than it states")
    return columns, tuple(names)


def _descend(
    elements: Iterator[Struct],
    count: int,
    path: tuple[str, ...],
    repeats: bool,
    columns: list[Column],
    names: list[str],
) -> None:
    if len(path) > MAX_DEPTH:
        raise ValueError("its columns nest too deeply")
    for _ in range(count):
        element = next(elements, None)
        if element is None:
            raise ValueError("its schema has fewer columns than it states")
        if 3 not in element:
            raise ValueError("a column does not say whether it is repeated")
        inner = (*path, element[4][1].decode())
        if not path:
            names.append(inner[0])
        repeated = repeats or element[3][1] == _REPEATED
        if 1 in element and not _children(element):
            columns.append(Column(inner, element[1][1], repeated))
        elif 1 in element or not _children(element):
            raise ValueError("a column has not one type")
        else:
            _descend(elements, _children(element), inner, repeated, columns, names)


def _children(element: Struct) -> int:
    return int(element[5][1]) if 5 in element else 0


def _chunk(one: Struct, column: Column, data_bytes: int) -> tuple[Chunk, Struct]:
    """Return a column chunk, and its fields to keep."""
    if 1 in one and one[1] != (BINARY, b""):
        raise ValueError("a column lies in another file")
    if 8 in one or 9 in one:
        raise ValueError("a column is encrypted")
    facts = _field(one, 3, STRUCT)
    if _among(facts, 1, _TYPES) != column.type:
        raise ValueError("a column is stored as another type than the table states")
    begin, packed = _number(facts, 9, I64), _number(facts, 7, I64)
    kept: Struct = {
        1: (I32, column.type),
        2: (LIST, (I32, _encodings(facts))),
        3: (LIST, (BINARY, [name.encode() for name in column.path])),
        4: (I32, _among(facts, 4, _CODECS)),
        5: (I64, _number(facts, 5, I64)),
        6: (I64, _number(facts, 6, I64)),
        7: (I64, packed),
        9: (I64, begin),
    }
    dictionary = _number(facts, 11, I64) if 11 in facts else 0
    if 0 < dictionary < begin:
        kept[11] = (I64, dictionary)
        begin = dictionary
    if begin + packed > data_bytes:
        raise ValueError("a column lies outside of the file")
    return Chunk(begin, begin + packed, kept[5][1]), {2: (I64, 0), 3: (STRUCT, kept)}


def _encodings(facts: Struct) -> list[int]:
    encodings = _items(facts, 2, I32)
    if not all(one in _ENCODINGS for one in encodings):
        raise ValueError("a column has an encoding that is not known")
    return encodings


def _field(fields: Struct, number: int, kind: int) -> Any:
    there, value = fields.get(number, (0, None))
    if there != kind:
        raise ValueError(f"field {number} of a part of its footer is not there")
    return value


def _number(fields: Struct, number: int, kind: int) -> int:
    value = int(_field(fields, number, kind))
    if not 0 <= value < (2**31 if kind == I32 else 2**63):
        raise ValueError(f"field {number} of a part of its footer is out of range")
    return value


def _among(fields: Struct, number: int, allowed: range) -> int:
    value = _number(fields, number, I32)
    if value not in allowed:
        raise ValueError(f"field {number} of a part of its footer is out of range")
    return value


def _text(fields: Struct, number: int) -> str:
    return str(_field(fields, number, BINARY).decode())


def _items(fields: Struct, number: int, kind: int) -> list[Any]:
    of_items, items = _field(fields, number, LIST)
    if items and of_items != kind:
        raise ValueError(f"field {number} of a part of its footer holds other things")
    return list(items)
