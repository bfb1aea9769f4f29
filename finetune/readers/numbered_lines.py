"""Lines of a text file, each with its number, never more than one in memory.

A line is bounded, so that a 100 MB line is a clear error and not a full memory.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO, Literal

from finetune.errors import DataError
from finetune.sources.files import SourceFile

MAX_LINE_BYTES = 16 * 2**20
BLOCK_BYTES = 2**20
Encoding = Literal["utf-8", "utf-16"]


def numbered_lines(file: SourceFile, *, encoding: Encoding) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end); a byte order mark is left out.

    Raises DataError with file, line and byte offset for bytes that are not of the encoding, and
    for a line of more than 16 MiB.
    """
    try:
        with file.path.open("rb") as stream:
            codec, start = _codec(stream, encoding, file.name)
            stream.seek(start)
            for number, offset, data in _raw_lines(stream, codec, start=start, name=file.name):
                yield number, _decoded(data, codec, name=f"{file.name}:{number}", offset=offset)
    except OSError as error:
        raise DataError(f"{file.name}: cannot be read: {error.strerror}") from None


def whole_utf8(file: SourceFile, *, max_bytes: int, too_large: str, thing: str = "file") -> bytes:
    """Return the bytes of a file that has to be read as a whole; they are UTF-8.

    Raises DataError for a file of more than `max_bytes` (`too_large`: what to do then), and with
    file, line and byte offset for bytes that are not UTF-8.
    """
    try:
        if file.path.stat().st_size > max_bytes:
            raise DataError(f"{file.name}: larger than {max_bytes // 2**20} MiB; {too_large}")
        data = file.path.read_bytes()
        data.decode("utf-8")
    except OSError as error:
        raise DataError(f"{file.name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file.name}:{line}: byte {error.start} of the file (0x{data[error.start]:02x}) is "
            f"not UTF-8; save the {thing} as UTF-8"
        ) from None
    return data


def _codec(stream: BinaryIO, encoding: Encoding, name: str) -> tuple[str, int]:
    """Return the codec with its byte order, and how many bytes the mark takes."""
    head = stream.read(3)
    if encoding == "utf-8":
        if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise DataError(
                f"{name}:1: begins with a UTF-16 byte order mark; write `encoding: utf-16` in the "
                "card, or save the file as UTF-8"
            )
        return "utf-8", 3 if head == codecs.BOM_UTF8 else 0
    if head[:2] == codecs.BOM_UTF16_LE:
        return "utf-16-le", 2
    if head[:2] == codecs.BOM_UTF16_BE:
        return "utf-16-be", 2
    raise DataError(
        f"{name}:1: no UTF-16 byte order mark, so the order of bytes is unknown; save the file "
        "as UTF-8 and leave `encoding` out of the card"
    )


def _raw_lines(
    stream: BinaryIO, codec: str, *, start: int, name: str
) -> Iterator[tuple[int, int, bytes]]:
    """Yield (number, byte offset, bytes without the line end)."""
    newline = "\n".encode(codec)
    rest, offset, number = b"", start, 1
    scanned = 0  # bytes of `rest` known to hold no line end
    while block := stream.read(BLOCK_BYTES):
        rest += block
        begin = 0
        while (end := _find(rest, newline, max(begin, scanned))) >= 0:
            _bound(end - begin, offset + begin, where=f"{name}:{number}")
            yield number, offset + begin, rest[begin:end]
            number, begin = number + 1, end + len(newline)
        rest, offset = rest[begin:], offset + begin
        scanned = max(0, len(rest) - len(rest) % len(newline))
        _bound(len(rest), offset, where=f"{name}:{number}")
    if rest:
        yield number, offset, rest


def _bound(size_bytes: int, offset: int, *, where: str) -> None:
    if size_bytes > MAX_LINE_BYTES:
        raise DataError(
            f"{where}: line of more than {MAX_LINE_BYTES // 2**20} MiB (it begins at byte "
            f"{offset}); put one document on a line"
        )


def _find(data: bytes, newline: bytes, start: int) -> int:
    """Return where a line end stands at a whole character from `start` on, or -1."""
    at = data.find(newline, start)
    while at >= 0 and at % len(newline):  # half of two UTF-16 characters
        at = data.find(newline, at + 1)
    return at


def _decoded(data: bytes, codec: str, *, name: str, offset: int) -> str:
    try:
        return data.decode(codec).removesuffix("\r")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: byte {offset + error.start} of the file (0x{data[error.start]:02x}) is not "
            f"{codec.upper()}: {error.reason}; save the file in the encoding that the card states"
        ) from None
