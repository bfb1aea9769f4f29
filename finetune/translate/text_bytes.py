"""Text of a file with its encoding and byte order mark, so that it can be written back alike."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.errors import DataError
from finetune.messages import Place, problem
from finetune.translate.formats.cut import Cut
from finetune.translate.formats.format_table import Format
from finetune.translate.skeleton import Found, Part, Segment, segments_in, written

MAX_BYTES = 256 * 2**20
"""A file is translated as a whole; the largest book of the Bible has less than one MB."""
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A file as its texts and all that stays."""

    format: Format
    parts: Sequence[Part]
    encoding: str
    mark: bytes
    """Byte order mark."""

    def segments(self) -> list[Segment]:
        """Return its segments in order."""
        return list(segments_in(self.parts))

    def with_translations(self, found: Found) -> bytes:
        """Return the bytes of the file with translations in place of its texts."""
        return self.mark + written(self.parts, found).encode(self.encoding)

    def can_hold(self, text: str) -> bool:
        """Return whether the encoding of the file has every character of a text."""
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        return True


def opened(data: bytes, form: Format, cut: Cut, *, encoding: str | None = None) -> Opened:
    """Return a file as its texts and all that stays.

    The encoding is that of its byte order mark, of `encoding`, of the header of a catalogue, else
    UTF-8. Raises DataError for a file that is not in it, or that could not be written back to the
    byte.
    """
    if len(data) > MAX_BYTES:
        raise DataError(
            problem(
                "file-too-large",
                "has more than {limit} bytes; split it",
                at=Place(cut.path),
                limit=MAX_BYTES,
            )
        )
    mark = next((one for one in _MARKS if data.startswith(one)), b"")
    name = _MARKS.get(mark) or encoding or _stated(data, form) or "utf-8"
    text = _decoded(data[len(mark) :], name, cut.path)
    found = Opened(form, form.cut(text, cut), name, mark)
    if found.with_translations(lambda _: None) != data:
        raise DataError(
            problem(
                "not-written-back",
                "could not be written back to the byte as a {format} file; is it one? "
                "`--format txt` takes its lines as they are",
                at=Place(cut.path),
                format=form.name,
            )
        )
    return found


def _stated(data: bytes, form: Format) -> str | None:
    found = form.charset.search(data[: 2**16]) if form.charset else None
    try:
        return codecs.lookup(found[1].decode("ascii")).name if found else None
    except (LookupError, UnicodeDecodeError):
        return None


def _decoded(data: bytes, encoding: str, path: Path) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            problem(
                "other-encoding",
                "is not {encoding}; state its encoding, for example `--encoding windows-1252`",
                at=Place(path, line),
                encoding=encoding,
            )
        ) from error
