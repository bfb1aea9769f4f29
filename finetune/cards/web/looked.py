"""The files of a request of the page, looked at once: format, doubts, columns, first records."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.cards import brought_files as bringing
from finetune.cards.asking.asked_columns import PEOPLE
from finetune.cards.asking.asked_keys import settled_keys, stated_keys
from finetune.cards.asking.opened import Opened, opened
from finetune.cards.questions import Question
from finetune.errors import FinetuneError
from finetune.messages import Problem, phrase, sentence
from finetune.output.paths import is_file
from finetune.spec.formats import Format, all_formats, known_format


@dataclass(frozen=True, slots=True)
class Looked:
    """Files as far as the answers so far let them be read."""

    form: Format | None = None
    asked: Sequence[Question] = ()
    """Questions for what the files leave in doubt, also those that are answered."""
    open_question: Question | None = None
    """The one without an answer that fits; the files are not read before it is answered."""
    seen: Opened | None = None
    problems: Sequence[Problem] = ()
    """Faults of the files."""


def look_at(options: Namespace, *, command: Namespace) -> Looked:
    """Return the files of a request as they are understood.

    `options`: with the answers of the page; `command`: as they were typed.
    """
    files = [file for file in options.file if is_file(file)]
    if not files:
        return Looked()
    asked: dict[str, Question] = {}

    def answer(question: Question) -> str | None:
        asked[question.name] = question
        value = str(getattr(options, question.name, None) or "")
        return value if value and question.problem(value) is None else None

    form = None
    try:
        form = _format(options, files, command=command, asked=asked)
        if form is None:
            return Looked(None, list(asked.values()), asked["format"])
        given = bringing.given_columns(options.column)
        people = [given[role] for role in PEOPLE if role in given]
        wanted = list(given.values())
        keys = settled_keys(files, form, stated_keys(command), wanted=wanted, answer=answer)
        seen = opened(files, form=form, given=keys, people=people)
    except FinetuneError as error:
        questions = list(asked.values())
        unanswered = next((one for one in questions if answer(one) is None), None)
        return Looked(form, questions, unanswered, problems=() if unanswered else error.problems)
    return Looked(form, list(asked.values()), seen=seen)


def _format(
    options: Namespace, files: Sequence[Path], *, command: Namespace, asked: dict[str, Question]
) -> Format | None:
    """Return the format that is stated, or that the files or an answer show; or ask for it."""
    if command.format:
        return known_format(command.format)
    if form := bringing.format_of(files):
        return form
    asked["format"] = Question(
        "format",
        sentence("The name of {file} does not show its format. Which is it?", file=files[0].name),
        heading=sentence("format"),
        choices={form.name: form.about or phrase(form.name) for form in all_formats()},
    )
    return known_format(options.format) if options.format else None
