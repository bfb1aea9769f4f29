"""Files that people bring: their format, their columns, and a place beside the card."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from finetune.errors import RecipeError
from finetune.sources.files import SourceFile
from finetune.spec.entry_points import load
from finetune.spec.formats import Format, format_of_suffix
from finetune.spec.language import hub_codes, language_name

TEXT_COLUMNS = ("text", "texte", "sentence", "phrase", "content")


def format_of(files: Sequence[Path]) -> Format | None:
    """Return the format that the files' names say, or None; RecipeError if they say several."""
    found = {form.name if form else "": form for form in map(_format, files)}
    if len(found) > 1:
        raise RecipeError(f"{files[0].parent}: files of several kinds; make one card for each kind")
    [form] = found.values()
    return form


def _format(file: Path) -> Format | None:
    return format_of_suffix(file.suffix)


def columns_of(file: Path, *, form: Format) -> list[str]:
    """Return the columns that a file of a format has; DataError if it cannot be read."""
    if form.fixed_columns:
        return list(form.fixed_columns)
    names: list[str] = load(form.columns)(SourceFile(file, file.name)) if form.columns else []
    return names


def guess_columns(
    there: Sequence[str], *, languages: Sequence[str], in_order: bool = False
) -> dict[str, str]:
    """Return role -> column where a name leaves no doubt: the text, or a language.

    `in_order`: the columns are in the order of the languages, whatever their names.

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
    if in_order:
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
