"""Flags first, then questions at a terminal: the answers that a card is made from."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from finetune.cards import brought_files as bringing
from finetune.cards.new import Answers, name_from
from finetune.cards.questions import QUESTIONS, Question, one_of
from finetune.cards.words import Lang
from finetune.errors import RecipeError, did_you_mean
from finetune.spec.formats import Format, all_formats, find_format

Ask = Callable[[str], str]
FILE = {"en": "Which file holds the texts?", "fr": "Quel fichier contient les textes ?"}
NO_FILE = {"en": "there is no file {file}", "fr": "il n'y a pas de fichier {file}"}
COLUMN = {
    "en": "Which column holds {what}? There are: {there}",
    "fr": "Quelle colonne contient {what} ? Il y a : {there}",
}
WHICH_FORMAT = {
    "en": "The name of {file} does not say what it is. Write one of:{formats}",
    "fr": "Le nom de {file} ne dit pas ce que c'est. Écrivez un mot parmi :{formats}",
}
THE_TEXT = {"en": "the text", "fr": "le texte"}


def answers_of(options: Namespace, *, lang: Lang, ask: Ask | None) -> Answers:
    """Return the answers, from flags and, if `ask` is given, from the person who is asked.

    Raises RecipeError with every flag that is wrong or missing.
    """
    files = list(options.file) or _ask_file(ask, lang)
    said = _said(options, lang=lang, ask=ask)
    languages = said.pop("language").split()
    form = _format(options.format, files, lang=lang, ask=ask)
    given = bringing.given_columns(options.column)
    kind = options.kind or _kind(languages, given)
    if form.has_columns and kind != "chat":
        given = _columns(files[0], form, languages, given=given, lang=lang, ask=ask)
    return Answers(
        name=options.name or name_from(files[0].name),
        languages=languages,
        files=files,
        format=form.name,
        kind=kind,
        columns=given,
        uses=options.use,
        samples=0 if options.no_samples or said["personal_data"] == "present" else 3,
        **said,
    )


def _said(options: Namespace, *, lang: Lang, ask: Ask | None) -> dict[str, str]:
    said, problems = {}, []
    for question in QUESTIONS:
        given = getattr(options, question.field)
        if given is None and ask is not None:
            said[question.field] = _answer(question, lang=lang, ask=ask)
            continue
        said[question.field] = question.default if given is None else given.strip()
        problem = question.problem(said[question.field], lang)
        if problem:
            flag = question.field.replace("_", "-")
            problems.append(f"--{flag}: {problem}")
    if problems:
        raise RecipeError(*problems)
    return said


def _answer(question: Question, *, lang: Lang, ask: Ask) -> str:
    default = f" [{question.default}]" if question.default else ""
    text = question.text[lang] + default
    while True:
        answer = ask(text).strip() or question.default
        problem = question.problem(answer, lang)
        if problem is None:
            return answer
        text = problem


def _ask_file(ask: Ask | None, lang: Lang) -> list[Path]:
    if ask is None:
        raise RecipeError("finetune cards new: name the file that holds the texts")
    text = FILE[lang]
    while True:
        file = Path(ask(text).strip()).expanduser()
        if file.is_file():
            return [file]
        text = NO_FILE[lang].format(file=file)


def _format(given: str | None, files: Sequence[Path], *, lang: Lang, ask: Ask | None) -> Format:
    """Return the format that was given, or that the files' names say, or that a person says."""
    form = find_format(given) if given else bringing.format_of(files)
    if form is not None:
        return form
    known = {one.name: one for one in all_formats()}
    if ask is None:
        raise RecipeError(
            f"{files[0]}: its name does not say what it is; say it with --format, one of "
            f"{', '.join(sorted(known))}"
        )
    rows = "".join(f"\n  {one.in_words(lang)}" for one in known.values())
    text = WHICH_FORMAT[lang].format(file=files[0], formats=rows)
    question = Question("format", {lang: text + "\n"}, problem=one_of(list(known)))
    return known[_answer(question, lang=lang, ask=ask)]


def _kind(languages: Sequence[str], columns: dict[str, str]) -> str:
    if len(languages) > 1:
        return "parallel"
    return "chat" if {"messages", "instruction"} & set(columns) else "text"


def _columns(
    file: Path,
    form: Format,
    languages: Sequence[str],
    *,
    given: dict[str, str],
    lang: Lang,
    ask: Ask | None,
) -> dict[str, str]:
    """Return which column holds what; asks, or refuses with the columns there are."""
    if not file.is_file():
        raise RecipeError(f"{file}: there is no such file")
    there = bringing.columns_of(file, form=form)
    in_order = bool(form.fixed_columns)  # the original stands first, as in the answer
    found = bringing.guess_columns(there, languages=languages, in_order=in_order) | given
    wanted = ["text"] if len(languages) == 1 else list(languages)
    shown = ", ".join(there)
    wrong = [f"--column {r}={c}" for r, c in given.items() if c.split(".")[0] not in there]
    if wrong:
        hint = did_you_mean(wrong[0].partition("=")[2], there)
        raise RecipeError(f"{wrong[0]}: {file} has no such column{hint} There are: {shown}")
    missing = [role for role in wanted if role not in found]
    if missing and ask is None:
        flags = " ".join(f"--column {role}=COLUMN" for role in missing)
        raise RecipeError(f"{file}: say which column holds what: {flags}. There are: {shown}")
    for role in missing:
        assert ask is not None  # noqa: S101, without a person it was refused above
        what = THE_TEXT[lang] if role == "text" else role
        question = Question(
            role, {lang: COLUMN[lang].format(what=what, there=shown)}, problem=one_of(there)
        )
        found[role] = _answer(question, lang=lang, ask=ask)
    return found
