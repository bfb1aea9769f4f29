"""Keys of a card that say how its files are read: stated, found in the files, or asked for."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from finetune.cards.packed_files import first_inside, suffix_of
from finetune.cards.questions import NUMBER_OR_NAME, Question, not_among
from finetune.errors import DataError, RecipeError
from finetune.messages import Place, Problem, Sentence, phrase, problem, sentence
from finetune.output.digits import whole_number
from finetune.output.paths import is_file
from finetune.readers.encodings import readings_of
from finetune.readers.guards import opened
from finetune.readers.numbered_lines import numbered_lines
from finetune.sources.broken_files import explained_keys
from finetune.sources.files import SourceFile
from finetune.sources.zipped import is_zip
from finetune.spec.entry_points import load
from finetune.spec.formats import Format
from finetune.spec.values.table_keys import TABLE_KEYS, Encoding, Quotes

OPTIONS: Mapping[str, str] = {
    "encoding": "of the files, if it is neither UTF-8 nor UTF-16, e.g. windows-1252",
    "separator": "between the columns of a table: a sign, tab, or none for a single column",
    "header": "of a table: its line (or row), or none",
    "quotes": "at the beginning of cells: quoted (they enclose them) or literal",
}
"""Key -> help of its option; `--sheet` may be repeated."""
HEADINGS: Mapping[str, Sentence] = {
    "encoding": sentence("encoding"),
    "separator": sentence("separator"),
    "header": sentence("header"),
    "quotes": sentence("quotation marks"),
}
Answer = Callable[[Question], str | None]
"""Returns the answer to a question, None for none yet."""


def stated_keys(options: Namespace) -> dict[str, Any]:
    """Return the keys that options state. RecipeError for a value that a card does not take."""
    keys = {key: value for key in OPTIONS if (value := getattr(options, key, None))}
    if sheets := list(getattr(options, "sheet", None) or ()):
        keys["sheets"] = sheets
    for key, known in (("encoding", get_args(Encoding)), ("quotes", get_args(Quotes))):
        if key in keys and keys[key] not in known:
            raise RecipeError(_at_option(not_among(dict.fromkeys(known), keys[key]), key))
    if (header := keys.get("header")) and header != "none":
        keys["header"] = whole_number(header)
        if not keys["header"]:
            raise RecipeError(_at_option(not_among({"none": None, "1": None}, header), "header"))
    if keys.get("separator") in ("\t", "\\t"):
        keys["separator"] = "tab"
    return keys


def settled_keys(
    files: Sequence[Path],
    form: Format,
    stated: Mapping[str, Any],
    *,
    wanted: Sequence[str],
    answer: Answer | None,
) -> dict[str, Any]:
    """Return the keys that files of a format need in their card; `wanted`: known columns.

    `answer` asks a person where a file leaves one in doubt; without it DataError names the key.
    RecipeError for a key that the format does not take, and for files that need different keys.
    """
    unfit = [key for key in TABLE_KEYS if key in stated and key not in form.keys]
    if unfit:
        raise RecipeError(*(_at_option(_of_other_format(form), key) for key in unfit))
    if not (form.found_keys or "encoding" in form.keys):
        return dict(stated)
    # which files of an archive are read, its languages decide, which are not known yet
    files = [one for one in files if is_file(one) and not (form.file_per_language and is_zip(one))]
    found = [_of_file(file, form, dict(stated), wanted=wanted, answer=answer) for file in files]
    found = _same_encoding(found, files)
    for file, keys in zip(files[1:], found[1:], strict=True):
        if keys != found[0]:
            raise RecipeError(
                problem(
                    "several-shapes",
                    "is not read like {first} ({keys} instead of {others}); make one card for each",
                    at=Place(file),
                    first=files[0],
                    keys=_words(keys),
                    others=_words(found[0]),
                )
            )
    return found[0] if found else dict(stated)


def _same_encoding(found: Sequence[dict[str, Any]], files: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the keys with one encoding for all files, where the others are plain ASCII."""
    encodings = {keys["encoding"] for keys in found if "encoding" in keys}
    if len(encodings) != 1:
        return list(found)
    [encoding] = encodings
    return [
        {"encoding": encoding} | keys if _is_ascii(file) else keys
        for keys, file in zip(found, files, strict=True)
    ]


def _is_ascii(file: Path) -> bool:
    with opened(SourceFile(file, file.name)) as stream:
        return all(block.isascii() for block in iter(lambda: stream.read(2**20), b""))


def _of_file(
    file: Path,
    form: Format,
    keys: dict[str, Any],
    *,
    wanted: Sequence[str],
    answer: Answer | None,
) -> dict[str, Any]:
    if form.file_per_language and suffix_of(file) == ".zip":
        return keys  # which of its files are read, the languages decide
    find = explained_keys(load(form.found_keys) if form.found_keys else _read_as_text)
    inside = first_inside(SourceFile(file, file.name), form=form)
    while True:
        try:
            found: dict[str, Any] = find(inside, **keys, wanted=tuple(wanted))
            return keys | found
        except DataError as error:
            question = _question_about(error.problems[0], inside)
            if answer is None or question is None or question.name in keys:
                raise
            value = answer(question)
            if value is None:
                raise
            keys[question.name] = whole_number(value) or value


def _read_as_text(
    file: SourceFile,
    *,
    encoding: Encoding = "utf-8",
    wanted: Sequence[str] = (),  # noqa: ARG001, as of tables
) -> dict[str, Any]:
    """Return no keys; DataError for a file that is not of its encoding."""
    for _ in numbered_lines(file, encoding=encoding):
        pass
    return {}


def _question_about(doubt: Problem, file: SourceFile) -> Question | None:
    """Return the question that decides a doubt about a file, None for any other problem."""
    if doubt.code == "wrong-encoding":
        return _encoding_question(file)
    if doubt.code == "separator-unclear":
        names = [doubt.facts["first_names"], doubt.facts["second_names"]]
        signs = [str(one) for one in doubt.facts["choices"]]
        return Question(
            "separator",
            sentence("Which sign separates the columns of {file}? It gives:", file=file.name),
            heading=HEADINGS["separator"],
            choices=dict(zip(signs, map(_columns, names), strict=False)),
        )
    if doubt.code == "quotes-unclear":
        return Question(
            "quotes",
            sentence("Cells of {file} begin and end with quotation marks. They:", file=file.name),
            heading=HEADINGS["quotes"],
            choices={
                "quoted": sentence("enclose cells"),
                "literal": sentence("are part of the texts"),
            },
            by_words=True,
        )
    if doubt.code == "header-unclear":
        return Question(
            "header",
            sentence(
                "Line {line:d} of {file} is: {cells}",
                line=doubt.facts["line"],
                file=file.name,
                cells=doubt.facts["cells"],
            ),
            heading=HEADINGS["header"],
            choices={
                str(doubt.facts["line"]): sentence("it names the columns"),
                "none": sentence("it is the first record"),
            },
            by_words=True,
        )
    return None


def _encoding_question(file: SourceFile) -> Question | None:
    """Return the question for the encoding of a file with a line of it in each that it may have."""
    readings = readings_of(file)
    if not readings:
        return None
    return Question(
        "encoding",
        sentence(
            "{file} is not UTF-8. In which of these encodings does it read well?", file=file.name
        ),
        heading=HEADINGS["encoding"],
        hint=NUMBER_OR_NAME,
        proposals={one.encoding: phrase(one.line) for one in readings},
        rule=lambda name: _encoding_problem(name, file),
    )


def _encoding_problem(name: str, file: SourceFile) -> Problem | None:
    """Return why a file cannot be read in an encoding; None if it can."""
    known = get_args(Encoding)
    if name not in known:
        return not_among(dict.fromkeys(known), name)
    try:
        explained_keys(_read_as_text)(file, encoding=name)
    except DataError as error:
        return error.problems[0]
    return None


def _columns(names: object) -> Sentence:
    return sentence("columns: {names}", names=names)


def _words(keys: Mapping[str, Any]) -> list[str]:
    return [f"{key}: {value}" for key, value in keys.items()] or ["-"]


def _of_other_format(form: Format) -> Problem:
    return problem("option-of-other-format", "is not for the format {format}", format=form.name)


def _at_option(found: Problem, key: str) -> Problem:
    return found.at(Place(key=f"--{'sheet' if key == 'sheets' else key}"))
