"""Options first, then questions at a terminal: the answers that a card is made from."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from finetune.cards import brought_files as bringing
from finetune.cards.asking.asked_columns import (
    COLUMN,
    PEOPLE,
    Table,
    columns_for,
    conversation,
    refuse_missing,
)
from finetune.cards.asking.asked_keys import settled_keys, stated_keys
from finetune.cards.asking.draft import draft_of
from finetune.cards.asking.opened import opened, read_through
from finetune.cards.asking.person import Ask, Person, Tell, unheard, value_of
from finetune.cards.new import Answers, name_from, refuse_name
from finetune.cards.packed_files import language_parts, texts_among
from finetune.cards.questions import QUESTIONS, Question, not_among
from finetune.errors import RecipeError
from finetune.messages import Place, Problem, counted, phrase, problem, sentence
from finetune.output.digits import whole_number
from finetune.output.paths import home_filled_in, is_file
from finetune.readers.running_text import readings
from finetune.sources.files import SourceFile
from finetune.spec.card import Use
from finetune.spec.formats import Format, all_formats, find_format
from finetune.text.shown import quotable, shown

UNIT_WORDS = {
    "line": sentence("the line"),
    "paragraph": sentence("the paragraph"),
    "file": sentence("the file"),
}


def answers_of(options: Namespace, *, lang: str, ask: Ask | None, tell: Tell = unheard) -> Answers:
    """Return the answers, from options and, if `ask` is given, from the person who is asked.

    A person is shown the files first, answers are kept in a draft beside the card, and each may be
    changed at the end. Raises RecipeError with every option that is wrong or missing, DataError for
    files that cannot be read.
    """
    files = texts_among(options.file) or _ask_file(ask, lang)
    if ask is None:
        return _collected(options, files, lang=lang, person=None)
    _replies(options, _given(options), lang=lang, person=None)
    name = options.name or name_from(files[0].name)
    refuse_name(name, cards=options.cards)
    bringing.beside(options.cards, files, name=name)
    person = Person(ask, lang, draft_of(options.cards, name), tell)
    if kept := len(person.draft.answers):
        person.say(
            counted(
                "Going on with {count} answer kept in {path}; delete that file to begin again.",
                "Going on with {count} answers kept in {path}; delete that file to begin again.",
                kept,
                path=person.draft.path,
            )
        )
    while True:
        answers = _collected(options, files, lang=lang, person=person)
        if not (person.asked and (again := _to_change(person))):
            return answers
        person.asked.clear()
        person.draft.forget(again)


def _to_change(person: Person) -> tuple[str, ...]:
    """Show the answers; return the names of those to ask again, none if all is well."""
    names = list(person.summary())
    given = [
        f"  {number}  {one.in_language(person.lang)}"
        for number, one in enumerate(person.summary().values(), start=1)
    ]
    text = sentence("Enter: write the card. To change an answer, type its number.")
    shown = "\n".join([*given, text.in_language(person.lang)])
    while typed := person.ask(shown).strip():
        if (number := whole_number(typed)) and number <= len(names):
            break
        # a word typed one line too late must not write the card
        shown = text.in_language(person.lang)
    else:
        return ()
    name = names[number - 1]
    return (name, COLUMN) if name in ("language", "format") else (name,)


def _collected(
    options: Namespace, files: Sequence[Path], *, lang: str, person: Person | None
) -> Answers:
    """Return the answers of one round: those that are kept are not asked again."""
    first, *others = QUESTIONS
    form = _format(options.format, files, person=person)
    if person is not None:
        refuse_missing(files)
    keys = settled_keys(
        files,
        form,
        stated_keys(options),
        wanted=list(bringing.given_columns(options.column).values()),
        answer=None if person is None else person.answer,
    )
    if person is not None:
        people = _people_columns(options, person)
        person.say(*opened(files, form=form, given=keys, people=people).lines())
        languages = _replies(options, [first], lang=lang, person=person)["language"].split(",")
    else:
        replies = _replies(options, QUESTIONS, lang=lang, person=None)
        languages = replies["language"].split(",")
    table = Table(files[0], form, keys)
    kind, columns = _kind_and_columns(options, files, table, languages, person=person)
    _refuse_personal(files[0], columns)
    if person is not None:
        given = {"columns": columns, **keys}
        read_through(files, form=form, kind=kind, languages=languages, given=given)
        replies = _replies(options, others, lang=lang, person=person)
    replies.pop("language", None)
    return Answers(
        name=options.name or name_from(files[0].name),
        languages=languages,
        files=files,
        format=form.name,
        kind=kind,
        columns=columns,
        unit=options.unit or _unit(table, kind, person=person),
        keys=keys,
        uses=options.use,
        samples=0 if options.no_samples or replies["personal_data"] == "present" else 3,
        **replies,
    )


def _people_columns(options: Namespace, person: Person) -> list[str]:
    """Return the columns about people that options or answers so far name."""
    given = bringing.given_columns(options.column)
    kept = person.draft.answers
    named = [given.get(role) or kept.get(f"{COLUMN}{role}", "") for role in PEOPLE]
    return [column for column in named if column]  # the texts of a plain file have no column


def _kind_and_columns(
    options: Namespace,
    files: Sequence[Path],
    table: Table,
    languages: Sequence[str],
    *,
    person: Person | None,
) -> tuple[str, dict[str, str]]:
    form = table.form
    columns = bringing.given_columns(options.column)
    kind = options.kind or _kind(languages, columns)
    running_text = form.documents and kind == "text" and not columns
    if form.kinds == ("parallel",) and kind != "parallel":
        raise _pairs_only(files[0], form)
    if turns := conversation(table, languages, kind=options.kind, given=columns):
        return "chat", turns
    if form.has_columns and kind != "chat" and not running_text:
        columns = columns_for(table, languages, given=columns, person=person)
    elif form.file_per_language and kind == "parallel":
        columns = language_parts(files, languages) | columns
        if missing := [one for one in languages if one not in columns]:
            raise _no_parts(files, missing)
    return kind, columns


def _pairs_only(file: Path, form: Format) -> RecipeError:
    """Return the error for one language of files that are read in pairs of languages."""
    return RecipeError(
        problem(
            "pairs-only",
            "looks like {format} ({about}), which is read in two or more languages; name the files "
            "of the others too, and all languages in --language (its texts alone: make a text file "
            "with a line each)",
            at=Place(file),
            format=form.name,
            about=form.about or phrase(form.name),
        )
    )


def _no_parts(files: Sequence[Path], languages: Sequence[str]) -> RecipeError:
    """Return the error for files of which not each has one of the languages in its path."""
    return RecipeError(
        problem(
            "no-language-in-path",
            "not every file has one of the languages in its path ({files}); name the files of "
            "these languages alone, or state the parts of their paths: {flags}",
            at=Place(files[0].parent),
            files=[file.name for file in files],
            flags=phrase(" ".join(f"--column {one}=PART" for one in languages)),
        )
    )


def _refuse_personal(file: Path, columns: Mapping[str, str]) -> None:
    """Raise RecipeError for a column whose name is personal data: the card would publish it."""
    for column in columns.values():
        if (masked := quotable(column)) != column:
            raise RecipeError(
                problem(
                    "personal-column",
                    "the name of a column contains personal data ({column!r}); if the first line "
                    "is a text, write a line with names of columns above it, otherwise rename it",
                    at=Place(file),
                    column=masked,
                )
            )


def _replies(
    options: Namespace, questions: Sequence[Question], *, lang: str, person: Person | None
) -> dict[str, str]:
    replies: dict[str, str] = {}
    problems: list[Problem] = []
    for question in questions:
        given = getattr(options, question.name)
        if given is None and person is not None:
            replies[question.name] = person.answer(question)
            continue
        reply = value_of(question, given or "", lang)
        replies[question.name] = reply
        if unfit := question.problem(reply):
            problems.append(unfit.at(Place(key=f"--{question.name.replace('_', '-')}")))
    known_uses = dict.fromkeys(get_args(Use))
    if set(options.use) - set(known_uses):
        problems.append(not_among(known_uses).at(Place(key="--use")))
    if problems:
        raise RecipeError(*problems)
    return replies


def _given(options: Namespace) -> list[Question]:
    """Return the questions that options answer."""
    return [one for one in QUESTIONS if getattr(options, one.name) is not None]


def _ask_file(ask: Ask | None, lang: str) -> list[Path]:
    if ask is None:
        raise RecipeError(
            problem("file-needed", "name the file that holds the texts", at=Place(key="FILE"))
        )
    text = sentence("Which file holds the texts?").in_language(lang)
    while True:
        file = home_filled_in(ask(text).strip())
        if is_file(file):
            return [file]
        text = bringing.no_such_file(file).in_language(lang)


def _format(given: str | None, files: Sequence[Path], *, person: Person | None) -> Format:
    """Return the format from the option, the names of the files, or a person's answer."""
    known = {form.name: form for form in all_formats()}
    if given is not None and given not in known:
        raise RecipeError(not_among(known, given).at(Place(key="--format")))
    form = find_format(given) if given else bringing.format_of(files)
    if form is not None:
        return form
    if person is None:
        raise RecipeError(
            problem(
                "format-unknown",
                "the name does not show the format; give it with --format, one of {known}",
                at=Place(files[0]),
                known=sorted(known),
            )
        )
    text = sentence("The name of {file} does not show its format. Which is it?", file=files[0])
    choices = {name: form.about or phrase("") for name, form in known.items()}
    question = Question("format", text, heading=sentence("format"), choices=choices)
    return known[person.answer(question)]


def _kind(languages: Sequence[str], columns: dict[str, str]) -> str:
    if len(languages) > 1:
        return "parallel"
    return "chat" if {"messages", "instruction"} & set(columns) else "text"


def _unit(table: Table, kind: str, *, person: Person | None) -> str:
    """Return the unit of hard-wrapped lines as a person chooses it, who sees both readings."""
    if person is None or kind != "text" or not table.form.line_per_text:
        return ""
    encoding = table.keys.get("encoding", "utf-8")
    texts = readings(SourceFile(table.file, table.file.name), encoding=encoding)
    if not texts:
        return ""
    choices = {
        unit: sentence("{name}: {value}", name=UNIT_WORDS[unit], value=shown(text))
        for unit, text in texts.items()
    }
    text = sentence("The lines look hard-wrapped. Which of these is one whole text?")
    question = Question("unit", text, heading=sentence("one text"), choices=choices, by_words=True)
    return person.answer(question)
