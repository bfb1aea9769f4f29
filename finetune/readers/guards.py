"""Care with files that people bring: missing libraries, archives that explode, XML that attacks,
and fonts from before Unicode."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from finetune.errors import DataError
from finetune.sources.files import SourceFile
from finetune.spec.formats import find_format, packages_of

MAX_UNPACKED_BYTES = 512 * 2**20
MAX_RATIO = 200
"""How much larger than itself an office file may unpack to; text compresses to a tenth or so."""
RATIO_FROM_BYTES = 16 * 2**20
MAX_FILE_BYTES = 256 * 2**20
HEAD_BYTES = 4096

LEGACY_FONTS: Mapping[str, str] = {
    # pattern over a font's name -> packages of PyPI that convert its texts
    r"kruti\s*dev|devlys|walkman[ -]?chanakya": "hinlegacy",
    r"preeti|sagarmatha|kantipur": "npttf2utf",
    r"sutonny\w*mj|bijoy": "bijoy2unicode",
    r"bamini|shree-?tam|shreelipi.?tam": "tamil-legacy-fonts",
    r"^ml-?tt|karthika ?tt|revathi ?tt": "libindic-payyans",
    r"^nudi \d|nudi akshar|baraha kan": "kannada-ascii-unicode",
}
"""Fonts that draw letters of a script over other letters' codes. Read in the descriptions of the
packages; none was tried here."""


CONVERTERS: Mapping[str, str] = {
    "Beng": "bijoy2unicode",
    "Deva": "hinlegacy (Hindi), npttf2utf (Nepali)",
    "Knda": "kannada-ascii-unicode",
    "Mlym": "libindic-payyans",
    "Taml": "tamil-legacy-fonts",
}
"""Script -> packages that convert texts of old fonts, for where the font is not known."""


def library(name: str, *, form: str) -> Any:
    """Return an optional library that a format needs; DataError that says how to install it."""
    try:
        return import_module(name)
    except ImportError:
        known = find_format(form)
        what = f"{known.suffixes[0]} files" if known.suffixes else f"the format {form!r}"
        raise DataError(
            f"reading {what} needs the Python package {name!r}, which is not installed; "
            f"pip install {' '.join(packages_of(known))}"
        ) from None


def unreadable(where: str, *, what: str, why: str) -> DataError:
    """Return the error for a file (or a place in it) that is broken, or of another kind.

    `what`: what it should be, e.g. `an Excel file`; people read it in their language if the
    sentence stays as it is here.
    """
    return DataError(
        f"{where}: is not {what} that can be read ({why}); open it in the program it "
        "comes from and save it again"
    )


def bounded(file: SourceFile) -> None:
    """Refuse a file that is too large to be opened whole."""
    try:
        size = file.path.stat().st_size
    except OSError as error:
        raise DataError(f"{file.name}: cannot be read: {error.strerror}") from None
    if size > MAX_FILE_BYTES:
        raise DataError(
            f"{file.name}: larger than {MAX_FILE_BYTES // 2**20} MiB; split it, or export the text"
        )


def checked_archive(file: SourceFile) -> None:
    """Refuse what is no office file: no archive, one that explodes, or XML with definitions."""
    bounded(file)
    try:
        with zipfile.ZipFile(file.path) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            packed = max(1, file.path.stat().st_size)
            explodes = unpacked > RATIO_FROM_BYTES and unpacked > MAX_RATIO * packed
            if unpacked > MAX_UNPACKED_BYTES or explodes:
                raise DataError(
                    f"{file.name}: unpacks from {packed:,} to {unpacked:,} bytes, as no document "
                    "does; it is damaged or made to fill the memory"
                )
            for member in members:
                if member.filename.endswith((".xml", ".rels")):
                    with archive.open(member) as opened:
                        _no_definitions(opened.read(HEAD_BYTES), f"{file.name}: {member.filename}")
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        raise DataError(
            f"{file.name}: cannot be opened ({error}); save it again as a plain, unprotected file "
            "of its kind"
        ) from None


def _no_definitions(head: bytes, where: str) -> None:
    plain = head.replace(b"\0", b"").upper()  # UTF-16 as well
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
        raise DataError(
            f"{where}: defines entities of its own, which no office program writes and an attack "
            "does; save the file again"
        )


def refuse_legacy_font(font: str | None, *, where: str) -> None:
    """Refuse text in a font from before Unicode, and name what converts it."""
    name = (font or "").rpartition("+")[2]  # a PDF puts six letters and a plus in front
    for pattern, package in LEGACY_FONTS.items():
        if re.search(pattern, name, re.IGNORECASE):
            raise DataError(
                f"{where}: is in the font {name!r}, from before Unicode: what looks right on the "
                "page is stored as other letters. Convert the text to Unicode first, e.g. with the "
                f"Python package {package!r}, let a speaker check it, and use the result"
            )


def no_nul(text: str, *, where: str) -> str:
    """Return text, or refuse one that holds NUL, which no writing has."""
    if "\0" in text:
        raise DataError(f"{where}: holds a NUL character; the file is damaged, export it again")
    return text
