"""Brought files in archives, or with a language in their name: what names say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from finetune.errors import RecipeError
from finetune.messages import Place, Problem, problem
from finetune.output.small_files import UnreadableError
from finetune.readers.translated.tags import fits_tag, known_language
from finetune.sources.files import SourceFile, in_archive
from finetune.sources.zipped import (
    ARCHIVES,
    is_beside,
    is_zip,
    members_of,
    name_parts,
    uncompressed_name,
)
from finetune.spec.formats import ALIGNED, Format, format_of_suffix
from finetune.spec.language import is_language

_CODE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?")


def texts_among(files: Sequence[Path]) -> list[Path]:
    """Return the files without those that only describe others (`.ids`, README)."""
    return [file for file in files if not is_beside(file.name)] or list(files)


def suffix_of(file: Path) -> str:
    """Return the suffix that names a file's format, behind which that of compression may stand.

    >>> suffix_of(Path("a.TSV.gz"))
    '.tsv'
    """
    return PurePosixPath(uncompressed_name(file.name)).suffix.lower()


def format_inside(file: Path) -> Format | None:
    """Return the format of the files in a ZIP archive, if it is one and they have one format.

    RecipeError for several.
    """
    if suffix_of(file) != ".zip" or not _is_zip(file):
        return None
    names = members_of(file, at=Place(file))
    found = [format_of_suffix(suffix_of(Path(name))) for name in names]
    formats = {form.name: form for form in found if form}
    if len(formats) > 1:
        raise RecipeError(
            problem(
                "several-formats",
                "files of several formats; make one card for each format",
                at=Place(file),
            )
        )
    return next(iter(formats.values()), None)


def format_of_names(files: Sequence[Path]) -> Format | None:
    """Return the format of files that differ in a language code of their names, if they do.

    OPUS and Moses name them `GNOME.en-wo.wo`, FLORES `wol_Latn.devtest`.
    """
    names = [name for file in files for name in _names(file)]
    if any(format_of_suffix(suffix_of(Path(name))) for name in names):
        return None  # `csv` is a language too
    each = [[part for part in parts if _is_code(part)] for parts in _differing(names)]
    return ALIGNED if len(names) > 1 and all(each) else None


def language_parts(files: Sequence[Path], languages: Sequence[str]) -> dict[str, str]:
    """Return language -> the part of a path that names it, where each file has one; else nothing.

    The names of files in archives are part of their paths.
    """
    columns: dict[str, str] = {}
    for parts in _differing([name for file in files for name in _names(file)]):
        found = [
            (language, part)
            for part in parts
            for language in languages
            if part == language or (_is_code(part) and fits_tag(language, part))
        ]
        if len({language for language, _ in found}) != 1:
            return {}
        language, part = found[-1]
        if columns.setdefault(language, part) != part:
            return {}
    return columns if set(columns) == set(languages) else {}


def first_inside(file: SourceFile, *, form: Format) -> SourceFile:
    """Return a file, or the first file of a format in it if it is an archive."""
    return in_archive(file, form=form)[0]


def unpack_first(file: Path) -> Problem | None:
    """Return the problem of an archive that is not read."""
    suffix = suffix_of(file)
    if suffix not in ARCHIVES:
        return None
    return problem(
        "unpack-first",
        "{suffix} archives are not read; unpack it and name the files in it, or pack them as .zip",
        at=Place(file),
        suffix=suffix,
    )


def _is_code(part: str) -> bool:
    return is_language(part) or bool(_CODE.fullmatch(part) and known_language(part))


def _is_zip(file: Path) -> bool:
    try:
        return is_zip(file)
    except (OSError, UnreadableError):
        return False


def _names(file: Path) -> list[str]:
    """Return the path of a file, or those of the files in it, from the folder above its own."""
    above = "/".join(file.parts[-3:])
    if suffix_of(file) != ".zip" or not _is_zip(file):
        return [above]
    members = members_of(file, at=Place(file))
    return [f"{above}/{name}" for name in members if not _aligns_others(name, members)]


def _aligns_others(name: str, members: Sequence[str]) -> bool:
    """Return whether a member is the list of links of OPUS beside its texts (`GNOME.en-wo.xml`)."""
    stem = name.removesuffix("xml")
    return name.endswith(".xml") and any(
        other.startswith(stem) and other != name for other in members
    )


def _differing(names: Sequence[str]) -> list[list[str]]:
    """Return the parts of each name that not all of them have."""
    parts = [name_parts(name) for name in names]
    common = set(parts[0]).intersection(*parts[1:]) if len(parts) > 1 else set()
    return [[part for part in one if part not in common] for one in parts]
