"""The columns of a table: those of a conversation, of each language, and of people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.cards import brought_files as bringing
from finetune.cards.asking.person import Person
from finetune.cards.questions import NUMBER_OR_NAME, Question
from finetune.errors import RecipeError, suggestion
from finetune.messages import Place, phrase, problem, sentence
from finetune.output.paths import is_file
from finetune.readers.tabular.column_names import positions
from finetune.spec.formats import Format
from finetune.spec.language import Named
from finetune.text.shown import quotable

COLUMN = "column:"
"""Beginning of the names of questions for columns; a role follows."""


OR_NONE = sentence("number or name; Enter: none")
PEOPLE = {
    "contributor": sentence(
        "Which column names the contributor of each text, so that one person's texts can be "
        "withdrawn?"
    ),
    "names": sentence("Which column lists the people who are named in each text, to mask them?"),
}
"""Role of a column about people -> its question."""
PEOPLE_HEADINGS = {
    "contributor": sentence("column of contributors"),
    "names": sentence("column of people named"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """A file with columns, and how it is read."""

    file: Path
    form: Format
    keys: Mapping[str, Any]

    def columns(self) -> list[str]:
        """Return the names of its columns; DataError if it cannot be read."""
        return bringing.columns_of(self.file, form=self.form, keys=self.keys)


def refuse_missing(files: Sequence[Path]) -> None:
    """Raise RecipeError for files that are not there."""
    missing = [bringing.no_such_file(file) for file in files if not is_file(file)]
    if missing:
        raise RecipeError(*missing)


def conversation(
    table: Table, languages: Sequence[str], *, kind: str | None, given: dict[str, str]
) -> dict[str, str]:
    """Return role -> column of conversations; nothing for what is text by its columns.

    Raises RecipeError for conversations (`kind`) whose columns are not known.
    """
    is_text = len(languages) != 1 or "text" in given or kind not in (None, "chat")
    if is_text or not table.form.columns or not is_file(table.file):
        return {}
    there = table.columns()
    complete = {"messages"} <= given.keys() or {"instruction", "answer"} <= given.keys()
    if not complete and kind is None and bringing.has_text_column(there):
        return {}
    turns = given if complete else bringing.guess_conversation(there) | given
    _refuse_wrong(table.file, turns, there)
    if not turns and kind == "chat":
        raise RecipeError(
            problem(
                "columns-needed",
                "state the columns: {flags}. The file has: {there}",
                at=Place(table.file),
                flags=phrase("--column messages=COLUMN"),
                there=[quotable(column) for column in there],
            )
        )
    return turns


def columns_for(
    table: Table,
    languages: Sequence[str],
    *,
    given: dict[str, str],
    person: Person | None,
) -> dict[str, str]:
    """Return role -> column; asks for what is missing, or refuses with the columns of the file."""
    file, form = table.file, table.form
    refuse_missing([file])
    there = table.columns()
    _refuse_wrong(file, given, there)
    in_order = bool(form.fixed_columns)  # the original stands first, as in the answer
    stated = bringing.stated_columns(file, form=form, languages=languages)
    columns = stated or bringing.guess_columns(there, languages=languages, in_order=in_order)
    columns |= given
    roles = ["text"] if len(languages) == 1 else list(languages)
    missing = [role for role in roles if role not in columns]
    if missing and person is None:
        raise RecipeError(
            problem(
                "columns-needed",
                "state the columns: {flags}. The file has: {there}",
                at=Place(file),
                flags=phrase(" ".join(f"--column {role}=COLUMN" for role in missing)),
                there=[quotable(column) for column in there],
            )
        )
    if person is None:
        return columns
    for role in missing:
        columns[role] = person.answer(_column_question(role, there))
    if not in_order:
        columns |= dict(_people(columns, there, person=person))
    return columns


def _people(
    columns: Mapping[str, str], there: Sequence[str], *, person: Person
) -> Iterator[tuple[str, str]]:
    """Yield the roles about people that a column has, with the column."""
    taken = set(columns.values())
    for role, text in PEOPLE.items():
        left = [column for column in there if column not in taken]
        if role in columns or not left:
            continue
        choices = {column: phrase("") for column in left}
        question = Question(
            COLUMN + role,
            text,
            heading=PEOPLE_HEADINGS[role],
            hint=OR_NONE,
            choices=choices,
            optional=True,
        )
        if column := person.answer(question):
            taken.add(column)
            yield role, column


def _refuse_wrong(file: Path, given: dict[str, str], there: Sequence[str]) -> None:
    for column in given.values():
        if not _names_one(column, there):
            raise RecipeError(
                problem(
                    "option-no-column",
                    "{file} has no column {column!r}; it has: {there}{near}",
                    at=Place(key="--column"),
                    file=file,
                    column=column,
                    there=[quotable(one) for one in there],
                    near=suggestion(column, there),
                )
            )


def _names_one(column: str, there: Sequence[str]) -> bool:
    """Return whether a column of a card is one of a file: by name, path or pattern."""
    path = column.split(".", maxsplit=1)[0] in there
    return bool(positions(column, there)) or path or ("*" in column and _fits(column, there))


def _fits(pattern: str, there: Sequence[str]) -> bool:
    """Return whether a pattern with `*` fits one of the names, as those of speakers' tiers do."""
    before, _, after = pattern.partition("*")
    return any(name.startswith(before) and name.endswith(after) for name in there)


def _column_question(role: str, there: Sequence[str]) -> Question:
    if role == "text":
        text, heading = sentence("Which column holds the text?"), sentence("column of the text")
    else:
        text = sentence("Which column holds {language}?", language=Named(role))
        heading = sentence("column of {language}", language=Named(role))
    return Question(
        COLUMN + role,
        text,
        heading=heading,
        hint=NUMBER_OR_NAME,
        choices={column: phrase("") for column in there},
    )
