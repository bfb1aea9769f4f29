"""Files that people bring: their format, their columns, and a place beside the card."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from finetune.errors import DataError, RecipeError
from finetune.readers.numbered_lines import numbered_lines
from finetune.readers.tables import parquet_columns
from finetune.sources.files import SourceFile
from finetune.spec import formats as registry
from finetune.spec.language import hub_codes, language_name

SUFFIXES: Mapping[str, str] = {
    ".txt": "text",
    ".text": "text",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
    ".docx": "docx",
    ".pdf": "pdf",
    ".html": "html",
    ".htm": "html",
    ".tmx": "tmx",
    ".po": "po",
    ".xlf": "xliff",
    ".xliff": "xliff",
    ".eaf": "elan",
    ".sfm": "toolbox",
}
"""What a file's name says about its format."""
FIXED: Mapping[str, tuple[str, str]] = {"po": ("msgid", "msgstr"), "xliff": ("source", "target")}
"""Formats whose columns have names of their own: the original, and its translation."""
TABLES = frozenset({"csv", "tsv", "jsonl", "parquet", "xlsx", "tmx", "elan", "toolbox", *FIXED})
"""Formats in which something has to say where each text stands."""
TEXT_COLUMNS = ("text", "texte", "sentence", "phrase", "content")


def format_of(files: Sequence[Path]) -> str:
    """Return the format that the files' names say; RecipeError if they say none or several."""
    found = {SUFFIXES.get(file.suffix.lower(), "") for file in files}
    if len(found) > 1:
        raise RecipeError(f"{files[0].parent}: files of several kinds; make one card for each kind")
    [name] = found
    if not name:
        raise RecipeError(
            f"{files[0]}: its name does not say what it is; say it with --format, one of "
            f"{', '.join(sorted(set(SUFFIXES.values())))}"
        )
    return name


_NAMES: Mapping[str, str] = {
    "xlsx": "finetune.readers.office:xlsx_columns",
    "tmx": "finetune.readers.translations:tmx_languages",
    "elan": "finetune.readers.fieldwork:elan_tiers",
    "toolbox": "finetune.readers.fieldwork:toolbox_markers",
}
"""Format -> what finds the names that `columns` can use."""


def columns_of(file: Path, *, kind: str) -> list[str]:
    """Return the columns of a table; DataError if it cannot be read."""
    if kind in FIXED:
        return list(FIXED[kind])
    if kind in _NAMES:
        names: list[str] = registry.load(_NAMES[kind])(SourceFile(file, file.name))
        return names
    if kind == "parquet":
        return parquet_columns(SourceFile(file, file.name))
    lines = (line for _, line in numbered_lines(SourceFile(file, file.name), encoding="utf-8"))
    first = next((line for line in lines if line.strip()), "")
    if kind == "jsonl":
        try:
            record = json.loads(first)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file}:1: not JSON: {error}") from None
        return list(record) if isinstance(record, dict) else []
    separator = "\t" if kind == "tsv" else ","
    return next(csv.reader([first], delimiter=separator), [])


def guess_columns(there: Sequence[str], *, languages: Sequence[str]) -> dict[str, str]:
    """Return role -> column where a name leaves no doubt: the text, or a language.

    >>> guess_columns(["id", "texte"], languages=["wol_Latn"])
    {'text': 'texte'}
    >>> guess_columns(["en", "hausa"], languages=["eng_Latn", "hau_Latn"])
    {'eng_Latn': 'en', 'hau_Latn': 'hausa'}
    """
    if len(languages) == 1:
        if len(there) == 1:
            return {"text": there[0]}
        named = [c for c in there if c.strip().lower() in TEXT_COLUMNS]
        return {"text": named[0]} if len(named) == 1 else {}
    if tuple(there) in FIXED.values():  # the original stands first, as in the answer
        return dict(zip(languages, there, strict=False))
    found = {}
    for language in languages:
        names = {language.lower(), language_name(language).lower(), *hub_codes(language)}
        # `fr-FR` of a translation memory is French too
        columns = [c for c in there if {c.strip().lower(), c.lower().partition("-")[0]} & names]
        if len(columns) == 1:
            found[language] = columns[0]
    return found


def given_columns(entries: Iterable[str]) -> dict[str, str]:
    """Return the columns given as ROLE=COLUMN; RecipeError for another form."""
    found = {}
    for entry in entries:
        role, equals, column = entry.partition("=")
        if not (role and equals and column):
            raise RecipeError(f"--column {entry}: write ROLE=COLUMN, e.g. text=Sentence")
        found[role] = column
    return found


def beside(cards: Path, files: Sequence[Path], *, name: str) -> dict[Path, str]:
    """Return where each file will be, relative to the cards: in place, or in texts/NAME/.

    Raises RecipeError for a file that is not there, or a place that is taken by another file.
    """
    places: dict[Path, str] = {}
    problems = []
    for file in files:
        if not file.is_file():
            problems.append(f"{file}: there is no such file")
        elif file.resolve().is_relative_to(cards.resolve()):
            places[file] = file.resolve().relative_to(cards.resolve()).as_posix()
        else:
            places[file] = f"texts/{name}/{file.name}"
            target = cards / places[file]
            if target.exists() and target.read_bytes() != file.read_bytes():
                problems.append(f"{target}: another file is there; nothing was written")
    twice = [p for p in places.values() if list(places.values()).count(p) > 1]
    if twice:
        problems.append(f"{twice[0]}: two files have this name; rename one")
    if problems:
        raise RecipeError(*problems)
    return places


def copy(places: Mapping[Path, str], *, cards: Path) -> list[Path]:
    """Copy the files to their places; return those that were not there before."""
    made = []
    for file, place in places.items():
        target = cards / place
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            made.append(target)
    return made
