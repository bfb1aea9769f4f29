"""Numbered lines of a text file, streamed: one line in memory, of bounded length."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from functools import cache, partial
from itertools import islice

from finetune.errors import DataError
from finetune.messages import Place, Sentence, problem, sentence
from finetune.readers.encodings import Found, decoded, found_encoding, proposal
from finetune.readers.guards import cannot_read, large_file, opened
from finetune.sources.files import SourceFile
from finetune.spec.values.table_keys import Encoding

MAX_LINE_BYTES = 16 * 2**20
BLOCK_BYTES = 2**20
_ANY: Encoding = "mac-roman"
"""An encoding in which all bytes are characters."""
_DAMAGED = re.compile("[\udc80-\udcff]")


def numbered_lines(
    file: SourceFile, *, encoding: Encoding, block_bytes: int = BLOCK_BYTES, strict: bool = False
) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end); a byte order mark is skipped.

    Lines end in LF or CR LF; in CR where the file has no LF. `block_bytes`: read at once. Raises
    DataError with file, line and byte offset for bytes that are not of the encoding, and for a
    line of more than 16 MiB. In a file that is plainly UTF-8 a damaged line is no error: each byte
    that is not UTF-8 becomes a lone surrogate (PEP 383), by which finetune.readers.units rejects
    the record; `strict`: an error also there.
    """
    for number, line, end in _lines(file, encoding, block_bytes, strict=strict):
        yield number, line.removesuffix("\r") if end == "\n" else line


def ended_lines(file: SourceFile, *, encoding: Encoding) -> Iterator[tuple[int, str, str]]:
    """Yield (line number from 1, line, its end); a line ends in LF, CR LF or CR.

    The end of the last line may be empty. Raises DataError as `numbered_lines` does.
    """
    number = 0
    for _, line, end in _lines(file, encoding, BLOCK_BYTES):
        whole = line.endswith("\r") and end == "\n"
        *parts, last = (line[:-1] if whole else line).split("\r")
        for part in parts:
            number += 1
            yield number, part, "\r"
        if last or end or not parts:
            number += 1
            yield number, last, "\r\n" if whole else end


def encoding_of(file: SourceFile, *, encoding: Encoding) -> Found:
    """Return the encoding of a file, and how it was found. Raises DataError as `numbered_lines`."""
    with opened(file) as stream:
        return found_encoding(stream, encoding, file)


def head_lines(file: SourceFile, *, lines: int) -> list[str]:
    """Return the first lines that are not blank, to look at their signs.

    In a file of another encoding than UTF-8 letters may be wrong: signs are the same in all.
    """
    for encoding in ("utf-8", _ANY):
        found = (line for _, line in numbered_lines(file, encoding=encoding) if line.strip())
        try:
            return list(islice(found, lines))
        except DataError:
            if encoding == _ANY:
                raise
    return []


def _lines(
    file: SourceFile, encoding: Encoding, block_bytes: int, *, strict: bool = False
) -> Iterator[tuple[int, str, str]]:
    """Yield (number, line, its end: LF, CR where the file has no LF, or none)."""
    try:
        with opened(file) as stream:
            found = found_encoding(stream, encoding, file)
            is_plainly_utf8 = cache(partial(_is_plainly_utf8, file))
            stream.seek(found.start)
            end = _line_end(stream.read(BLOCK_BYTES), found.codec)
            stream.seek(found.start)
            blocks = iter(partial(stream.read, block_bytes), b"")
            raw = _raw_lines(blocks, end.encode(found.codec), start=found.start, file=file)
            for number, offset, data, ended in raw:
                try:
                    line = decoded(data, found.codec)
                except UnicodeDecodeError as error:
                    if strict or found.codec != "utf-8" or not is_plainly_utf8():
                        at = file.place(number)
                        raise _of_another(error, data, found.codec, at, offset, file) from None
                    line = data.decode("utf-8", "surrogateescape")
                # files put together have the mark of each one at the beginning of its first line
                yield number, line.removeprefix("\ufeff"), end if ended else ""
    except OSError as error:
        raise cannot_read(file.place(), error) from None


def _is_plainly_utf8(file: SourceFile) -> bool:
    """Return whether more lines have letters of UTF-8 than bytes that are not UTF-8.

    A file of another encoding has next to no such letters: it is read by its own encoding, not with
    its accented lines omitted.
    """
    kinds = {True: 0, False: 0}
    with opened(file) as stream:
        for line in stream:
            if not line.isascii():
                kinds[_is_utf8(line)] += 1
    return kinds[True] > kinds[False]


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def damaged_byte(text: str) -> int | None:
    """Return the first byte of a line that was not UTF-8.

    >>> damaged_byte("a\\udce9"), damaged_byte("é")
    (233, None)
    """
    found = _DAMAGED.search(text)
    return ord(found.group()) - 0xDC00 if found else None


def as_replaced(text: str) -> str:
    """Return a text that can be shown, with a mark in the place of bytes that were not UTF-8.

    >>> as_replaced("a\\udce9")
    'a\ufffd'
    """
    return _DAMAGED.sub("\ufffd", text)


def _line_end(head: bytes, codec: str) -> str:
    lf, cr = "\n".encode(codec), "\r".encode(codec)
    return "\r" if _find(head, lf, 0) < 0 <= _find(head, cr, 0) else "\n"


def decoded_blocks(
    file: SourceFile, *, encoding: Encoding, block_bytes: int = BLOCK_BYTES
) -> Iterator[str]:
    """Yield the text of a file in blocks; a byte order mark is skipped.

    Raises DataError with file, line and byte offset for bytes that are not of the encoding; in a
    file that is plainly UTF-8 they become lone surrogates, as in `numbered_lines`.
    """
    try:
        with opened(file) as stream:
            found = found_encoding(stream, encoding, file)
            codec, offset = found.codec, found.start
            stream.seek(offset)
            decoder, line = codecs.getincrementaldecoder(codec)(), 1
            while True:
                data = stream.read(block_bytes)
                left = decoder.getstate()[0]
                try:
                    text = decoder.decode(data, final=not data)
                except UnicodeDecodeError as error:
                    if codec == "utf-8" and _is_plainly_utf8(file):
                        decoder = codecs.getincrementaldecoder(codec)("surrogateescape")
                        yield (text := decoder.decode(left + data, final=not data))
                        offset, line = offset + len(data), line + text.count("\n")
                        continue
                    before = (left + data)[: error.start].decode(codec, "replace")
                    raise _not_decodable(
                        file.place(line + before.count("\n")),
                        codec,
                        offset=offset - len(left) + error.start,
                        byte=(left + data)[error.start],
                        instead=proposal(file, codec=codec),
                    ) from None
                if text:
                    yield text
                if not data:
                    return
                offset, line = offset + len(data), line + text.count("\n")
    except OSError as error:
        raise cannot_read(file.place(), error) from None


def whole_utf8(
    file: SourceFile, *, max_bytes: int, too_large: Sentence, save_as: Sentence | None = None
) -> bytes:
    """Return the bytes of a file that has to be read as a whole; they are UTF-8.

    Raises DataError for a file of more than `max_bytes` (`too_large`: what to do then), and with
    file, line and byte offset for bytes that are not UTF-8 (`save_as`: what to do then).
    """
    try:
        with opened(file) as stream:
            data = stream.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise large_file(file, limit=max_bytes, instead=too_large)
        data.decode("utf-8")
    except OSError as error:
        raise cannot_read(file.place(), error) from None
    except UnicodeDecodeError as error:
        raise _not_decodable(
            file.place(data.count(b"\n", 0, error.start) + 1),
            "utf-8",
            offset=error.start,
            byte=data[error.start],
            instead=save_as or sentence("save the file as UTF-8"),
        ) from None
    return data


def _not_decodable(
    at: Place, codec: str, *, offset: int, byte: int, instead: Sentence
) -> DataError:
    return DataError(
        problem(
            "wrong-encoding",
            "byte {offset:d} of the file (0x{byte:02x}) is not {encoding}; {instead}",
            at=at,
            offset=offset,
            byte=byte,
            encoding=codec.upper(),
            instead=instead,
        )
    )


def _raw_lines(
    blocks: Iterable[bytes], newline: bytes, *, start: int, file: SourceFile
) -> Iterator[tuple[int, int, bytes, bool]]:
    """Yield (number, byte offset, bytes without the line end, whether there is one)."""
    rest, offset, number = b"", start, 1
    scanned = 0  # bytes of `rest` known to contain no line end
    for block in blocks:
        rest += block
        begin = 0
        while (end := _find(rest, newline, max(begin, scanned))) >= 0:
            _refuse_long(end - begin, offset + begin, file=file, line=number)
            yield number, offset + begin, rest[begin:end], True
            number, begin = number + 1, end + len(newline)
        rest, offset = rest[begin:], offset + begin
        scanned = max(0, len(rest) - len(rest) % len(newline))
        _refuse_long(len(rest), offset, file=file, line=number)
    if rest:
        yield number, offset, rest, False


def _refuse_long(size_bytes: int, offset: int, *, file: SourceFile, line: int) -> None:
    if size_bytes > MAX_LINE_BYTES:
        raise DataError(
            problem(
                "long-line",
                "has a line of more than {mib} MiB (it begins at byte {offset:d}); put one "
                "document per line",
                at=file.place(line),
                mib=MAX_LINE_BYTES // 2**20,
                offset=offset,
            )
        )


def _find(data: bytes, newline: bytes, start: int) -> int:
    """Return the place of a line end at a whole character from `start` on, or -1."""
    at = data.find(newline, start)
    while at >= 0 and at % len(newline):  # half of two UTF-16 characters
        at = data.find(newline, at + 1)
    return at


def _of_another(
    error: UnicodeDecodeError, data: bytes, codec: str, at: Place, offset: int, file: SourceFile
) -> DataError:
    """Return the error for a line (its bytes, and their offset in the file) of another encoding."""
    return _not_decodable(
        at,
        codec,
        offset=offset + error.start,
        byte=data[error.start],
        instead=proposal(file, codec=codec),
    )
