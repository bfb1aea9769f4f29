"""Files for a new card: their format, their columns, and their place beside the card."""

from __future__ import annotations

import filecmp
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from finetune.cards.packed_files import (
    first_inside,
    format_inside,
    format_of_names,
    suffix_of,
    unpack_first,
)
from finetune.errors import DataError, RecipeError
from finetune.messages import Place, Problem, Sentence, phrase, problem, sentence
from finetune.output.paths import is_file, is_folder
from finetune.readers.tabular.column_names import plain_name
from finetune.readers.tabular.other_content import content_format
from finetune.readers.translated.tags import fits_tag
from finetune.sources.broken_files import explained_columns
from finetune.sources.files import SourceFile
from finetune.spec.entry_points import blamed, load
from finetune.spec.formats import (
    FORMATS,
    GROUP,
    TEXT_KEYS,
    Format,
    format_of_suffix,
    is_built_in,
)
from finetune.spec.language import find_languages
from finetune.spec.language_search import fold, folded_names
from finetune.text.shown import shown_name

_NO_LETTERS = re.compile(r"[\W\d_]+")
_PROGRAM = sentence("the program that made it")
_SAVED_AS: Sequence[tuple[str, str, Sentence]] = (
    (".odt .ott .fodt .doc .rtf .wpd .pages", ".docx", _PROGRAM),
    (".ods .fods .xls .xlsb .numbers", ".xlsx", _PROGRAM),
    (".pptx .ppt .odp .key", ".pdf", _PROGRAM),
    (".epub .mobi .azw3 .fb2", ".docx", phrase("Calibre")),
    (".mo .gmo", ".po", _PROGRAM),
    (".resx", ".po", phrase("Translate Toolkit (resx2po)")),
    (".ts", ".po", phrase("Translate Toolkit (ts2po)")),
    (".yml .yaml", ".po", phrase("Translate Toolkit (yaml2po)")),
    (".flextext .trs .cha", ".eaf", phrase("ELAN")),
    (".lift .fwdata .fwbackup", ".sfm", phrase("FieldWorks")),
    (".exb", ".eaf", phrase("EXMARaLDA")),
    (".usj", ".usfm", phrase("Paratext")),
    (".sdltm .tbx .wordfast", ".tmx", _PROGRAM),
    (".mdb .accdb .sqlite .sav .dta .rds", ".csv", _PROGRAM),
    (".arrow .feather", ".parquet", phrase("Python")),
    (".eml .mbox", ".txt", _PROGRAM),
)
SAVED_AS = {
    suffix: (program, other)
    for suffixes, other, program in _SAVED_AS
    for suffix in suffixes.split()
}
"""Suffix of a file that no reader takes -> a program, and what it can save it as."""
TEXT_COLUMNS = ("text", "texte", "sentence", "phrase", "content")
CHAT_COLUMNS: Mapping[str, Sequence[str]] = {
    "messages": ("messages", "conversations", "conversation", "dialogue", "dialog", "turns"),
    "instruction": ("instruction", "prompt", "question", "query"),
    "input": ("input", "context"),
    "answer": ("output", "answer", "response", "completion", "reply"),
    "system": ("system", "system_prompt"),
    "history": ("history",),
}
"""Role in a conversation -> usual names of its column, in lower case."""
PREFERENCES = ({"chosen", "rejected"}, {"prompt", "completion", "label"})
"""Columns of data sets of preferences, which hold bad answers too."""


def format_of(files: Sequence[Path]) -> Format | None:
    """Return the format from the names of files, or None.

    RecipeError if there are several, for a folder, and for a file to be saved as another first.
    """
    unfit = [found for file in files if (found := _unfit(file))]
    if unfit:
        raise RecipeError(*unfit)
    formats = {form.name if form else "": form for form in map(_format, files)}
    if len(formats) > 1:
        raise RecipeError(
            problem(
                "several-formats",
                "files of several formats; make one card for each format",
                at=Place(files[0].parent),
            )
        )
    [form] = formats.values()
    return form or format_of_names(files)


def _format(file: Path) -> Format | None:
    """Return the format that a file's first bytes or lines show, or else its name."""
    if is_file(file) and (form := content_format(SourceFile(file, file.name))):
        return form
    if is_file(file) and (form := recognised_format(SourceFile(file, file.name))):
        return form
    return format_of_suffix(suffix_of(file)) or format_inside(file)


def recognised_format(file: SourceFile) -> Format | None:
    """Return the format that the first lines of a file called plain text show, or None."""
    for form in FORMATS.values():
        if form.recognised:
            with suppress(DataError):  # bytes, or text in another encoding
                if load(form.recognised)(file):
                    return form
    return None


def _unfit(file: Path) -> Problem | None:
    """Return why no card can be made of a file as it is, and what to do."""
    suffix = file.suffix.lower()
    if is_folder(file):
        return problem("folder-given", "is a folder; name the files in it", at=Place(file))
    if archive := unpack_first(file):
        return archive
    if suffix in SAVED_AS and format_of_suffix(suffix) is None:
        return problem(
            "save-as",
            "{suffix} files are not read; open it in {program}, and save it as {other}",
            at=Place(file),
            suffix=suffix,
            program=SAVED_AS[suffix][0],
            other=SAVED_AS[suffix][1],
        )
    return None


def columns_of(
    file: Path, *, form: Format, keys: Mapping[str, Any] = MappingProxyType({})
) -> list[str]:
    """Return the columns that a file of a format has; DataError if it cannot be read.

    `keys`: those of the card that the format takes (finetune/cards/asked_keys.py).
    """
    if form.fixed_columns:
        return list(form.fixed_columns)
    if not form.columns:
        return []
    if not form.found_keys:
        taken = TEXT_KEYS if is_built_in(form.name) else ()
        keys = {key: keys[key] for key in taken if key in keys}
    with blamed(form.name, group=GROUP, known=FORMATS):
        names: list[str] = explained_columns(load(form.columns))(
            first_inside(SourceFile(file, file.name), form=form), **keys
        )
    return names


def stated_columns(file: Path, *, form: Format, languages: Sequence[str]) -> dict[str, str]:
    """Return role -> column of a pair by the language tags that a file states; none in doubt."""
    if not form.tags or len(languages) != 2:
        return {}
    with blamed(form.name, group=GROUP, known=FORMATS):
        tags: dict[str, str] = load(form.tags)(first_inside(SourceFile(file, file.name), form=form))
    for first, second in (languages, languages[::-1]):
        sides = dict(zip(form.fixed_columns, (first, second), strict=True))
        fits = [fits_tag(sides[column], tag) for column, tag in tags.items()]
        if fits and all(fits):
            return {language: column for column, language in sides.items()}
    return {}


def guess_columns(
    there: Sequence[str], *, languages: Sequence[str], in_order: bool = False
) -> dict[str, str]:
    """Return role -> column where a name leaves no doubt: the text, or a language.

    `in_order`: the columns are in the order of the languages, whatever their names.

    >>> guess_columns(["id", "texte"], languages=["wol_Latn"])
    {'text': 'texte'}
    >>> guess_columns(["Titre", "Texte (wolof)", "Conteur"], languages=["wol_Latn"])
    {'text': 'Texte (wolof)'}
    >>> guess_columns(["en", "Texte (haoussa)"], languages=["eng_Latn", "hau_Latn"])
    {'eng_Latn': 'en', 'hau_Latn': 'Texte (haoussa)'}
    >>> guess_columns(["français", "sérère"], languages=["srr_Latn", "fra_Latn"])
    {'srr_Latn': 'sérère', 'fra_Latn': 'français'}
    """
    if len(languages) == 1:
        if len(there) == 1:
            return {"text": there[0]}
        return _guess_text(there, languages[0])
    if in_order:
        return dict(zip(languages, there, strict=False))
    columns_by_role = {}
    for language in languages:
        matching = [column for column in there if names_language(column, language)]
        if len(matching) == 1:
            columns_by_role[language] = matching[0]
    return columns_by_role


def _guess_text(there: Sequence[str], language: str) -> dict[str, str]:
    """Return the one column that is called text, names the language, or has text as a word."""
    for named in (
        [c for c in there if plain_name(c).lower() in TEXT_COLUMNS],
        [c for c in there if names_language(c, language)],
        [c for c in there if set(fold(_NO_LETTERS.sub(" ", c)).split()) & set(TEXT_COLUMNS)],
    ):
        if named:
            return {"text": named[0]} if len(named) == 1 else {}
    return {}


def has_text_column(there: Sequence[str]) -> bool:
    """Return whether a column has a usual name of texts."""
    return any(column.strip().lower() in TEXT_COLUMNS for column in there)


def guess_conversation(there: Sequence[str]) -> dict[str, str]:
    """Return role -> column of a table of conversations, or nothing if its columns are no such.

    Raises RecipeError for preferences: their bad answers must not be trained on.

    >>> guess_conversation(["instruction", "input", "output", "id"])
    {'instruction': 'instruction', 'input': 'input', 'answer': 'output'}
    >>> guess_conversation(["conversations", "source"])
    {'messages': 'conversations'}
    """
    names = {column.strip().lower(): column for column in there}
    if any(columns <= names.keys() for columns in PREFERENCES):
        raise RecipeError(
            problem(
                "preference-data",
                "holds preferences ({there}), good answers and bad ones, which are not trained on; "
                "keep the good ones, and write --kind chat --column instruction=COLUMN --column "
                "answer=COLUMN",
                at=Place(key="--column"),
                there=there,
            )
        )
    found = {
        role: next(names[name] for name in known if name in names)
        for role, known in CHAT_COLUMNS.items()
        if not names.keys().isdisjoint(known)
    }
    if "messages" in found:
        return {role: found[role] for role in ("messages", "system") if role in found}
    return found if {"instruction", "answer"} <= found.keys() else {}


def names_language(column: str, language: str) -> bool:
    """True if a column is called by a code of a language, or has its name as some of its words."""
    code = language.partition("_")[0]
    if code in {found.partition("_")[0] for found in find_languages(column)}:
        return True
    words = f" {fold(_NO_LETTERS.sub(' ', column))} "
    return any(f" {name} " in words for name in folded_names(code))


def given_columns(entries: Iterable[str]) -> dict[str, str]:
    """Return the columns given as ROLE=COLUMN; RecipeError for another form."""
    columns_by_role = {}
    for entry in entries:
        role, equals, column = entry.partition("=")
        if not (role and equals and column):
            raise RecipeError(
                problem(
                    "option-column-form",
                    "{entry!r}: write ROLE=COLUMN, e.g. text=Sentence",
                    at=Place(key="--column"),
                    entry=entry,
                )
            )
        columns_by_role[role] = column
    return columns_by_role


def beside(cards: Path, files: Sequence[Path], *, name: str) -> dict[Path, str]:
    """Return where each file will be, relative to the cards: in place, or in texts/NAME/.

    Raises RecipeError for a file that is not there, a place that is taken by another file, or a
    name with personal data.
    """
    places: dict[Path, str] = {}
    problems = [_personal_name(file.name) for file in files if _is_personal(file.name)]
    if not problems and _is_personal(name):
        problems.append(_personal_name(name).at(Place(key="--name")))
    for file in files:
        if not file.is_file():
            problems.append(no_such_file(file))
        elif file.resolve().is_relative_to(cards.resolve()):
            places[file] = file.resolve().relative_to(cards.resolve()).as_posix()
        else:
            same_name = [one for one in files if one.name == file.name]
            folder = f"{file.parent.name}/" if len(same_name) > 1 else ""
            places[file] = f"texts/{name}/{folder}{file.name}"
            target = cards / places[file]
            if target.exists() and not _same(target, file):
                problems.append(_taken(target))
    twice = [place for place, times in Counter(places.values()).items() if times > 1]
    if twice:
        problems.append(
            problem("same-name", "two files have this name; rename one", at=Place(twice[0]))
        )
    if problems:
        raise RecipeError(*problems)
    return places


def no_such_file(file: Path) -> Problem:
    """Return the problem of a file that is not there."""
    return problem("no-such-file", "there is no file {file}", file=file)


def _is_personal(name: str) -> bool:
    """Return whether the name of a file or card has personal data, or says whom a chat is with.

    >>> _is_personal("WhatsApp Chat with Awa.txt"), _is_personal("tel 77 123 45 67.csv")
    (True, True)
    >>> _is_personal("WhatsApp chat.txt"), _is_personal("20240312.txt")
    (False, False)
    """
    return shown_name(name) != name


def _personal_name(name: str) -> Problem:
    return problem(
        "personal-name",
        "the name {name!r} contains personal data, and would stand in the card and in reports; "
        "rename it",
        name=shown_name(name),
    )


def _taken(target: Path) -> Problem:
    return problem(
        "place-taken", "another file has this name already; nothing was written", at=Place(target)
    )


def _same(target: Path, file: Path) -> bool:
    """Return whether two files have the same content; anything but a plain file has none."""
    return target.is_file() and filecmp.cmp(target, file, shallow=False)


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
