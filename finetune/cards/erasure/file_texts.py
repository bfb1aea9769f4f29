"""Texts of a file in every form in which ours hold them.

Plain text in UTF-8 and UTF-16, JSON escapes (also JSON in JSON), HTML entities, base64; inside of
gzip, bzip2, xz, ZIP and tar. Arrays, weights and pictures have no texts and are not read.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import html
import io
import lzma
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from finetune.sources.zipped import BROKEN

BLOCK_BYTES = 8 * 2**20
OVERLAP_BYTES = 64 * 2**10
"""Of a block with the next one: a text that is longer is found by a part of it."""
DEPTH = 4
"""Archives in archives."""
LONGEST_BYTES = 64 * 2**30
"""Of what is unpacked from one file: an archive that explodes is given up."""
WITHOUT_TEXTS = frozenset(
    {
        *(".safetensors", ".gguf", ".npy", ".npz", ".bin", ".pt", ".whl", ".so", ".mo"),
        *(".png", ".jpg", ".jpeg", ".webp", ".woff", ".woff2", ".ttf", ".pyc", ".sqlite"),
    }
)
"""Ends of names of files without texts."""
_PACKED = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([nrtbf\"/\\]))")
_SIGNS = {"n": "\n", "r": "\n", "t": " ", "b": " ", "f": " ", '"': '"', "/": "/", "\\": "\\"}
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}|[A-Za-z0-9_-]{24,}={0,2}")

BrokenFile = (*BROKEN, tarfile.TarError)
"""Errors of a file or archive that cannot be read to its end."""


def texts_in(path: Path) -> Iterator[str]:
    """Yield the texts of a file, each in every form; raises one of `BrokenFile`."""
    if path.suffix.lower() in WITHOUT_TEXTS:
        return
    with path.open("rb") as stream:
        yield from _of_stream(stream, depth=0)


def _of_stream(stream: IO[bytes], *, depth: int) -> Iterator[str]:
    head = stream.read(512)
    rest = io.BufferedReader(_Joined(head, stream))
    if depth < DEPTH:
        opened = next((op for magic, op in _PACKED.items() if head.startswith(magic)), None)
        if opened is not None:
            with opened(rest, "rb") as inner:  # type: ignore[operator]
                yield from _of_stream(inner, depth=depth + 1)
            return
        if head.startswith(b"PK\x03\x04"):
            yield from _of_zip(rest, depth=depth + 1)
            return
        if head[257:262] == b"ustar":
            yield from _of_tar(rest, depth=depth + 1)
            return
    yield from _of_text(rest)


def _of_zip(stream: IO[bytes], *, depth: int) -> Iterator[str]:
    with zipfile.ZipFile(io.BytesIO(stream.read())) as archive:
        for name in archive.namelist():
            if Path(name).suffix.lower() not in WITHOUT_TEXTS:
                with archive.open(name) as inner:
                    yield from _of_stream(inner, depth=depth)


def _of_tar(stream: IO[bytes], *, depth: int) -> Iterator[str]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if member.isfile() and Path(member.name).suffix.lower() not in WITHOUT_TEXTS:
                inner = archive.extractfile(member)
                if inner is not None:
                    yield from _of_stream(inner, depth=depth)


def _of_text(stream: IO[bytes]) -> Iterator[str]:
    done, before = 0, b""
    wide: str | None = None
    while block := stream.read(BLOCK_BYTES):
        if not done:
            wide = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(block[:2])
        done += len(block)
        if done > LONGEST_BYTES:
            raise ValueError("explodes")
        text = (before + block).decode(wide or "utf-8", "replace")
        yield from forms_of(text)
        before = block[-OVERLAP_BYTES:]


def forms_of(text: str) -> Iterator[str]:
    """Yield a text as it is, and with each layer of its escapes taken off."""
    yield text
    seen = text
    for _ in range(2):
        plain = html.unescape(_without_escapes(seen)) if "\\" in seen or "&" in seen else seen
        if plain == seen:
            break
        yield plain
        seen = plain
    for found in _BASE64.finditer(seen):
        yield from _of_base64(found.group())


def _of_base64(written: str) -> Iterator[str]:
    bare = written.rstrip("=").replace("-", "+").replace("_", "/")
    bare = bare[: len(bare) // 4 * 4 + (len(bare) % 4 if len(bare) % 4 > 1 else 0)]
    try:
        content = base64.b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        return
    text = content.decode("utf-8", "ignore")
    if len(text) * 2 > len(content) // 2:  # random bytes are mostly no UTF-8
        yield text
        if "\\" in text or "&" in text:
            yield html.unescape(_without_escapes(text))


def _without_escapes(text: str) -> str:
    plain = _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _SIGNS[m[2]], text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Joined(io.RawIOBase):
    """A stream of which the first bytes were read already."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        super().__init__()
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; return how many bytes there were."""
        part, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        part = part or self._rest.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)
