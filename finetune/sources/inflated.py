"""Bounded decompression of gzip, bzip2, xz and Zstandard files.

Not `gzip.open`, which reads the name in a header byte by byte, and not `lzma.open`, which takes as
much memory as a header asks for.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any

from finetune.errors import DataError
from finetune.messages import Place, Sentence, problem, sentence
from finetune.spec.formats import FETCHED
from finetune.spec.tables.extras import optional

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

TORN = (EOFError, zlib.error, lzma.LZMAError)
"""Exceptions raised for a damaged or truncated file."""
_PACKED_BYTES = 2**16
_XZ_MEMORY_BYTES = 2**28
"""Memory limit of unpacking xz; the strongest preset takes 65 MiB, a hostile header 4 GiB."""


def inflated(file: IO[bytes], head: bytes) -> io.BufferedReader | None:
    """Return what comes out of a packed file; None if its first bytes, `head`, are of neither kind.

    Several streams one after the other are one file, as parallel compressors write them. A checksum
    is compared when the end is reached; reading raises `TORN`.
    """
    if head.startswith(b"\x1f\x8b"):
        return io.BufferedReader(_Inflated(file, _Gzip), _PACKED_BYTES)
    if head.startswith(b"\xfd7zXZ\0"):
        return io.BufferedReader(_Inflated(file, _xz), _PACKED_BYTES)
    return None


def uncompressed(file: IO[bytes], head: bytes) -> io.BufferedReader | None:
    """Return what comes out of a file packed in any of the four ways; None for any other file.

    Besides `TORN`, reading raises OSError and ValueError for damage. MissingPackageError for
    Zstandard without a library that reads it.
    """
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        return io.BufferedReader(_Inflated(file, bz2.BZ2Decompressor), _PACKED_BYTES)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstandard(file)
    return inflated(file, head)


def _zstandard(file: IO[bytes]) -> io.BufferedReader:
    """Return the content of a Zstandard file; MissingPackageError without a library for it."""
    try:
        stream = import_module("compression.zstd").ZstdFile(file)  # from Python 3.14 on
    except ImportError:
        needed_by = sentence("reading {suffix} files", suffix=".zst")
        arrow = optional("pyarrow", needed_by=needed_by, extra=FETCHED.extra)
        stream = _Readable(arrow.CompressedInputStream(arrow.PythonFile(_Lent(file), "r"), "zstd"))
    return io.BufferedReader(stream, _PACKED_BYTES)


class _Lent:
    """A file that a library may read and not close."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self.read = file.read

    def close(self) -> None:
        """Leave the file open: it may be read once more from its beginning."""


class _Readable(io.RawIOBase):
    """A stream of a library that can only `read`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)


class _Inflated(io.RawIOBase):
    """The bytes of a stream, and at its end those of the next one, if there is one."""

    def __init__(self, file: IO[bytes], unpacker: Callable[[], _Unpacker]) -> None:
        self._file = file
        self._new = unpacker
        self._unpacker = unpacker()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer with at least one byte, none at the end."""
        view = memoryview(buffer)
        packed = b""
        while True:
            if self._unpacker.eof:
                packed = self._unpacker.unused_data
                while not (packed := packed.lstrip(b"\0")):  # zeros between streams
                    if not (packed := self._file.read(_PACKED_BYTES)):
                        return 0
                self._unpacker = self._new()
            elif self._unpacker.needs_input and not (packed := self._file.read(_PACKED_BYTES)):
                raise EOFError("it ends too early")
            data = self._unpacker.decompress(packed, len(view))
            packed = b""
            if data:
                view[: len(data)] = data
                return len(data)


class _Gzip:
    """Decompressor of one gzip stream, with the attributes of `lzma.LZMADecompressor`."""

    def __init__(self) -> None:
        self._gzip = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._gzip.eof

    @property
    def unused_data(self) -> bytes:
        return self._gzip.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._gzip.unconsumed_tail

    def decompress(self, data: bytes, size: int) -> bytes:
        return self._gzip.decompress(self._gzip.unconsumed_tail + data, size)


_Unpacker = _Gzip | bz2.BZ2Decompressor | lzma.LZMADecompressor


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


def damaged_or_bomb(at: Place, sizes: Sentence) -> DataError:
    """Return the error for sizes that only a damaged file or a decompression bomb states."""
    return DataError(
        problem(
            "decompression-bomb",
            "{sizes}, unlike any ordinary file; it is damaged or made to fill the memory",
            at=at,
            sizes=sizes,
        )
    )
