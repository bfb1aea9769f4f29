"""Keys of a card that say how its files are read: stated, found in the files, or asked for."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from finetune.cards.packed_files import first_inside
from finetune.cards.questions import Question, not_among
from finetune.errors import DataError, RecipeError
from finetune.messages import Place, Problem, phrase, problem, sentence
from finetune.output.digits import whole_number
from finetune.output.paths import is_file
from finetune.sources.broken_files import explained_keys
from finetune.sources.files import SourceFile
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
Answer = Callable[[Question], str]


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
    if not form.found_keys:
        return dict(stated)
    found = [
        _of_file(file, form, dict(stated), wanted=wanted, answer=answer)
        for file in files
        if is_file(file)
    ]
    for file, keys in zip(files[1:], found[1:], strict=False):
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


def _of_file(
    file: Path,
    form: Format,
    keys: dict[str, Any],
    *,
    wanted: Sequence[str],
    answer: Answer | None,
) -> dict[str, Any]:
    find = explained_keys(load(form.found_keys))
    inside = first_inside(SourceFile(file, file.name), form=form)
    while True:
        try:
            found: dict[str, Any] = find(inside, **keys, wanted=tuple(wanted))
            return keys | found
        except DataError as error:
            [first, *_] = error.problems
            question = question_about(first)
            if answer is None or question is None or question.name in keys:
                raise
            value = answer(question)
            keys[question.name] = whole_number(value) or value


def question_about(doubt: Problem) -> Question | None:
    """Return the question that decides a doubt about a file, None for any other problem."""
    key = str(doubt.facts.get("key", ""))
    if key not in OPTIONS:
        return None
    if "choices" in doubt.facts:
        values = [str(value) for value in doubt.facts["choices"]]
        return Question(key, doubt.what, choices=dict.fromkeys(values, phrase("")))
    choices = {
        str(doubt.facts["line"]): sentence("it names the columns"),
        "none": sentence("it is the first record"),
    }
    return Question(key, doubt.what, choices=choices)


def _words(keys: Mapping[str, Any]) -> list[str]:
    return [f"{key}: {value}" for key, value in keys.items()] or ["-"]


def _of_other_format(form: Format) -> Problem:
    return problem("option-of-other-format", "is not for the format {format}", format=form.name)


def _at_option(found: Problem, key: str) -> Problem:
    return found.at(Place(key=f"--{'sheet' if key == 'sheets' else key}"))
