"""Thrift's compact protocol: structures of a file's bytes and back, without generated code.

A structure is a dictionary of field number -> (type, value). Values are int, float, bytes, list of
(type of the items, items), or a structure. Source: the specification of the compact protocol of
Apache Thrift; sets, maps and UUIDs do not occur in Parquet files and are refused.
"""

from __future__ import annotations

import struct
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST = range(1, 10)
STRUCT = 12
MAX_DEPTH = 16
MAX_VALUES = 2_000_000
"""Of a structure and all in it: a value takes a hundred times its bytes in memory."""
_INTEGERS = (I16, I32, I64)

Struct = dict[int, tuple[int, Any]]


def decoded(data: bytes, at: int = 0) -> tuple[Struct, int]:
    """Return the structure that begins at a byte, and where it ends.

    IndexError if it goes on beyond `data`; ValueError if it is no structure, or too large a one.
    """
    cursor = _Cursor(data, at)
    return cursor.struct(0), cursor.at


def encoded(fields: Struct) -> bytes:
    """Return a structure as bytes.

    >>> decoded(encoded({1: (I32, -7), 40: (LIST, (BINARY, [b"a"]))}))[0]
    {1: (5, -7), 40: (9, (8, [b'a']))}
    """
    out = bytearray()
    _put_struct(out, fields)
    return bytes(out)


class _Cursor:
    """A place in bytes, and how many values may still be read."""

    __slots__ = ("at", "data", "left")

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at
        self.left = MAX_VALUES

    def struct(self, depth: int) -> Struct:
        if depth > MAX_DEPTH:
            raise ValueError("its structures nest too deeply")
        fields: Struct = {}
        number = 0
        while first := self.byte():
            number = number + (first >> 4) if first >> 4 else self.signed()
            kind = first & 15
            fields[number] = (kind, self.value(kind, depth + 1))
        return fields

    def value(self, kind: int, depth: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"it holds more than {MAX_VALUES:,} values")
        if kind in _INTEGERS:
            return self.signed()
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind == DOUBLE:
            return struct.unpack("<d", self.take(8))[0]
        read = {BINARY: self.binary, BYTE: self.byte}.get(kind)
        if read is not None:
            return read()
        nested = {STRUCT: self.struct, LIST: self.items}.get(kind)
        if nested is None:
            raise ValueError(f"a value has the unknown type {kind}")
        return nested(depth)

    def items(self, depth: int) -> tuple[int, list[Any]]:
        first = self.byte()
        kind, count = first & 15, first >> 4
        if count == 15:
            count = self.unsigned()
        if count > len(self.data) - self.at:  # each item takes a byte or more
            raise IndexError("a list goes on beyond the end")
        if kind in (TRUE, FALSE):  # in a list each is a byte, and either type may stand for both
            return TRUE, [byte == TRUE for byte in self.take(count)]
        return kind, [self.value(kind, depth) for _ in range(count)]

    def binary(self) -> bytes:
        return self.take(self.unsigned())

    def take(self, length: int) -> bytes:
        begin, self.at = self.at, self.at + length
        if self.at > len(self.data):
            raise IndexError("a value goes on beyond the end")
        return self.data[begin : self.at]

    def byte(self) -> int:
        byte = self.data[self.at]
        self.at += 1
        return byte

    def signed(self) -> int:
        value = self.unsigned()
        return (value >> 1) ^ -(value & 1)

    def unsigned(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self.data[self.at]
            self.at += 1
            if byte < 128:
                return value | byte << shift
            value |= (byte & 127) << shift
            shift += 7
        raise ValueError("a number has too many bytes")


def _put_struct(out: bytearray, fields: Struct) -> None:
    last = 0
    for number, (stated, value) in sorted(fields.items()):
        kind = (TRUE if value else FALSE) if stated in (TRUE, FALSE) else stated
        if 0 < number - last < 16:
            out.append((number - last) << 4 | kind)
        else:
            out.append(kind)
            _put_unsigned(out, number << 1)
        last = number
        _put_value(out, kind, value)
    out.append(0)


def _put_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _INTEGERS:
        _put_unsigned(out, value << 1 if value >= 0 else ~(value << 1))
    elif kind == BINARY:
        _put_unsigned(out, len(value))
        out += value
    elif kind == STRUCT:
        _put_struct(out, value)
    elif kind == LIST:
        of_items, items = value
        out.append(min(15, len(items)) << 4 | of_items)
        if len(items) >= 15:
            _put_unsigned(out, len(items))
        for item in items:
            _put_value(out, of_items, item)
    elif kind == BYTE:
        out.append(value)
    elif kind == DOUBLE:
        out += struct.pack("<d", value)


def _put_unsigned(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
