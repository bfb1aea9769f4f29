"""Safety checks for user files: missing libraries, exceptions of libraries, size limits, legacy
fonts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, BinaryIO

from finetune.errors import DataError, MissingPackageError, first_line
from finetune.messages import Place, Sentence, problem, sentence
from finetune.output.small_files import UnreadableError
from finetune.sources.files import SourceFile
from finetune.sources.zipped import open_content
from finetune.spec.formats import find_format
from finetune.spec.tables.extras import optional

MAX_FILE_BYTES = 256 * 2**20
"""Of a file that a library reads as a whole."""
MAX_FONT_CHARACTERS = 200
SPLIT = sentence("split it")
SHOWN = 20
"""Names that a message lists."""
SHOWN_CHARACTERS = 60

LEGACY_FONTS: Mapping[str, str] = {
    # pattern over a font's name -> packages of PyPI that convert its texts
    r"kruti\s*dev|devlys|walkman[ -]?chanakya": "hinlegacy",
    r"preeti|sagarmatha|kantipur": "npttf2utf",
    r"sutonny\w*mj|bijoy": "bijoy2unicode",
    r"bamini|shree-?tam|shreelipi.?tam": "tamil-legacy-fonts",
    r"^ml-?tt|karthika ?tt|revathi ?tt": "libindic-payyans",
    r"^nudi \d|nudi akshar|baraha kan": "kannada-ascii-unicode",
}
"""Fonts that draw letters of a script over other letters' codes. From the descriptions of the
packages; not tested."""


CONVERTERS: Mapping[str, str] = {
    "Beng": "bijoy2unicode",
    "Deva": "hinlegacy (Hindi), npttf2utf (Nepali)",
    "Knda": "kannada-ascii-unicode",
    "Mlym": "libindic-payyans",
    "Taml": "tamil-legacy-fonts",
}
"""Script -> packages that convert texts of legacy fonts, where the font is not known."""


def library(name: str, *, form: str) -> Any:
    """Return an optional library of a format; DataError with the command that installs it."""
    known = find_format(form)
    reading = sentence("reading the format {form!r}", form=form)
    if known.suffixes:
        reading = sentence("reading {suffix} files", suffix=known.suffixes[0])
    try:
        return optional(name, needed_by=reading, extra=known.extra or None)
    except MissingPackageError as error:
        raise DataError(*error.problems) from None


def unreadable(at: Place, *, what: Sentence, why: object) -> DataError:
    """Return the error for a file (or a place in it) that is damaged, or of another kind.

    `what`: what it should be, with its article; `why`: a sentence, or a message of a library.
    """
    return DataError(
        problem(
            "unreadable-file",
            "is not {what} that can be read ({why}); open it in the program it comes from and save "
            "it again",
            at=at,
            what=what,
            why=why,
        )
    )


@contextmanager
def clear(at: Place, what: Sentence) -> Iterator[None]:
    """Turn any exception of a library on a damaged file into a DataError; our own errors pass."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:  # the libraries raise KeyError, struct.error, zlib.error and more
        why = f"{type(error).__name__}: {first_line(error, max_characters=120)}"
        raise unreadable(at, what=what, why=why) from None


def opened(file: SourceFile) -> BinaryIO:
    """Open a file of a corpus for reading, unpacked if it is compressed.

    DataError for a pipe or device, or if it cannot be opened or unpacked.
    """
    try:
        return open_content(file.path, member=file.member, at=file.place())
    except UnreadableError as error:
        raise DataError(
            problem(
                "no-regular-file",
                "{why}; put a regular file there",
                at=file.place(),
                why=error.args[0],
            )
        ) from None
    except OSError as error:
        raise cannot_read(file.place(), error) from None
    except MissingPackageError as error:
        raise DataError(*error.problems) from None


def cannot_read(at: Place, error: OSError) -> DataError:
    """Return the error for a file that the system does not give."""
    return DataError(problem("cannot-be-read", "cannot be read: {why}", at=at, why=error.strerror))


@contextmanager
def bounded(file: SourceFile, *, max_bytes: int | None = None) -> Iterator[BinaryIO]:
    """Open a file that a library reads as a whole; DataError for one that is too large."""
    limit = MAX_FILE_BYTES if max_bytes is None else max_bytes
    with opened(file) as stream:
        size_bytes = stream.seek(0, 2)
        stream.seek(0)
        if size_bytes > limit:
            instead = sentence("split it, or export the text")
            raise large_file(file, limit=limit, instead=instead)
        yield stream


def large_file(file: SourceFile, *, limit: int, instead: Sentence) -> DataError:
    """Return the error for a file of more than `limit` bytes that has to be read as a whole."""
    return DataError(
        problem(
            "large-file",
            "is larger than {mib} MiB; {instead}",
            at=file.place(),
            mib=limit // 2**20,
            instead=instead,
        )
    )


def too_much(at: Place, *, what: Sentence, limit: int, instead: Sentence) -> DataError:
    """Return the error for content that would fill the memory or take hours.

    `what`: what there is too much of, in the plural, e.g. `rows`; `instead`: what to do.
    """
    return DataError(
        problem(
            "too-much",
            "contains more than {limit} {what}; {instead}",
            at=at,
            limit=limit,
            what=what,
            instead=instead,
        )
    )


def defines_entities(at: Place) -> DataError:
    """Return the error for XML with definitions, which expand without bound or name other files."""
    return DataError(
        problem(
            "xml-entities",
            "defines XML entities, which ordinary programs do not write and attacks use; export "
            "the file again",
            at=at,
        )
    )


def refuse_legacy_font(font: str | None, *, at: Place) -> None:
    """Raise DataError for text in a font from before Unicode, with a package that converts it."""
    # a PDF puts six letters and a plus in front
    name = (font or "")[:MAX_FONT_CHARACTERS].rpartition("+")[2]
    package = _converter(name)
    if package:
        raise DataError(
            problem(
                "legacy-font",
                "is in the font {font!r}, from before Unicode: its letters are stored as other "
                "letters. Convert the text to Unicode first, e.g. with the Python package "
                "{package!r}, have a speaker check it, and use the result",
                at=at,
                font=name,
                package=package,
            )
        )


@lru_cache(maxsize=1024)
def _converter(name: str) -> str | None:
    """Return the package that converts texts of a font, or None for one of today."""
    for pattern, package in LEGACY_FONTS.items():
        if re.search(pattern, name, re.IGNORECASE):
            return package
    return None


def no_nul(text: str, *, at: Place) -> str:
    """Return text; DataError if it contains NUL, which no writing system has."""
    if "\0" in text:
        raise DataError(
            problem(
                "nul-character",
                "contains a NUL character; the file is damaged, export it again",
                at=at,
            )
        )
    return text


def listed(names: Iterable[str]) -> Sentence:
    """Return names for a message: the first ones, each shortened.

    >>> str(listed(["a", "b"])), str(listed([]))
    ("'a', 'b'", 'none')
    >>> str(listed(map(str, range(22)))).endswith("'19' and 2 more")
    True
    """
    there = list(names)
    shown = [name[:SHOWN_CHARACTERS] for name in there[:SHOWN]]
    if not there:
        return sentence("none")
    if len(there) > SHOWN:
        return sentence("{names!r} and {count} more", names=shown, count=len(there) - SHOWN)
    return sentence("{names!r}", names=shown)
