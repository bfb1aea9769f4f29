"""The questions of `finetune cards new` as fields of a form, and the card made from its answers."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from finetune.cards import brought_files as bringing
from finetune.cards.asking.asked_columns import COLUMN, PEOPLE
from finetune.cards.asking.asked_keys import OPTIONS
from finetune.cards.asking.draft import Draft, draft_of
from finetune.cards.asking.person import value_of
from finetune.cards.check.finding import LEVELS
from finetune.cards.check.findings import check_card
from finetune.cards.check.terms import USES
from finetune.cards.interview import answers_of
from finetune.cards.language_names import codes_of
from finetune.cards.new import name_from, next_commands, write_card
from finetune.cards.questions import QUESTIONS, Question
from finetune.cards.web.looked import Looked, look_at
from finetune.cards.web.server import Fields, Page
from finetune.errors import FinetuneError
from finetune.messages import Place, Problem, Sentence, available, counted, problem, sentence
from finetune.output.paths import home_filled_in, is_file
from finetune.output.templates import environment
from finetune.spec.formats import format_of_suffix
from finetune.spec.language import Named, is_language

LONG = frozenset({"speakers", "consent", "withdrawal"})
"""Questions whose answers are a sentence or more."""
MAX_PROPOSALS = 200
"""Files of the folder that are proposed."""

LABELS: Mapping[str, Sentence] = {
    "title": sentence("Describe your texts"),
    "intro": sentence(
        "Answer what you know; everything except the file and the language may stay empty. The "
        "answers become a data card: a text file that you can correct later."
    ),
    "file": sentence("Your file, as it was understood"),
    "questions": sentence("Questions"),
    "write": sentence("Write the card"),
    "look": sentence("Look at the file again"),
    "local": sentence(
        "This page is on your own machine, and nothing is sent over the internet. Your answers are "
        "kept in a draft beside the card until you write it."
    ),
    "done": sentence("The card is written"),
    "findings": sentence("Possible improvements"),
    "next": sentence("Next commands"),
    "close": sentence("You can close this page."),
    **{str(level): words for level, words in LEVELS.items()},
}
UNANSWERED = sentence("An answer is needed here: without it the file cannot be read.")
PERMITTED = sentence("What may the texts be used for? (nothing ticked: what the licence permits)")


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that can be chosen, with its words."""

    value: str
    words: str


@dataclass(frozen=True, slots=True)
class Field:
    """A question as a field of the form, with what was answered and what is wrong with it."""

    name: str
    text: str
    values: Sequence[str] = ()
    choices: Sequence[Choice] = ()
    many: bool = False
    """True if several choices may be ticked."""
    is_list: bool = False
    """True if the choices are shown as a list that opens."""
    is_long: bool = False
    proposals: Sequence[Choice] = ()
    """Answers among others."""
    note: str = ""
    """The answer as it was understood."""
    problems: Sequence[str] = ()

    @property
    def value(self) -> str:
        """The one value, or nothing."""
        return self.values[0] if self.values else ""


@dataclass(slots=True)
class Form:
    """Owns the answers of one person until the card is written."""

    options: Namespace
    """Options of the command line; they fill the fields at first."""
    lang: str
    written: Callable[[Path], None] = field(default=lambda _card: None)
    """Called with the card that was written."""

    def answer(self, fields: Fields) -> Page:
        """Return the page for the fields that the browser sent; none for the first request."""
        if (chosen := _last(fields, "lang")) in available():
            self.lang = chosen
        options = _filled(self.options, fields)
        draft = _draft(options)
        if draft is not None and fields:
            draft.keep_all(_kept(fields))
        elif draft is not None and draft.answers:
            kept = {name: [value] for name, value in draft.answers.items()}
            kept["use"] = draft.answers.get("use", "").split()
            options = _filled(self.options, kept)
        if _last(fields, "action") != "write":
            look = look_at(options, command=self.options)
            return Page(self._form(options, look, checked=bool(fields), problems=()))
        try:
            answers = answers_of(options, lang=self.lang, ask=None)
            card, seen = write_card(answers, cards=options.cards, lang=self.lang)
        except FinetuneError as error:
            look = look_at(options, command=self.options)
            problems = error.problems
            if one := look.open_question:  # not how an option is written, but the question
                problems = (problem("unanswered", UNANSWERED, at=Place(key=f"--{one.name}")),)
            return Page(self._form(options, look, checked=True, problems=problems))
        if draft is not None:
            draft.remove()
        self.written(card.path)
        text = counted(
            "Wrote {path} ({count} text examined). Read it, and correct it in any text editor.",
            "Wrote {path} ({count} texts examined). Read it, and correct it in any text editor.",
            seen.records,
            path=card.path,
        )
        found = check_card(card.path, today=date.today())
        return Page(
            _render(
                "done.html.j2",
                self.lang,
                written=text.in_language(self.lang),
                findings=[(f.level, f.problem.in_language(self.lang)) for f in found],
                commands=[
                    (command, why.in_language(self.lang)) for why, command in next_commands(card)
                ],
            ),
            is_last=True,
        )

    def _form(
        self, options: Namespace, look: Looked, *, checked: bool, problems: Sequence[Problem]
    ) -> str:
        """Return the page of the form; `checked`: the answers so far are examined."""
        found: dict[str, list[str]] = {}
        for one in (*problems, *look.problems):
            text = (replace(one, place=None) if _field_of(one) else one).in_language(self.lang)
            found.setdefault(_field_of(one), []).append(text)
        fields = self._fields(options, look, checked=checked, found=found)
        shown = {one.name for one in fields}
        general = [text for name, texts in found.items() if name not in shown for text in texts]
        facts = look.seen.facts if look.seen else ()
        note = look.seen.note if look.seen else None
        return _render(
            "form.html.j2",
            self.lang,
            others=[language for language in available() if language != self.lang],
            fields=fields,
            general=list(dict.fromkeys(general)),
            count=_count(len(problems)).in_language(self.lang) if problems else "",
            facts=[(n.in_language(self.lang), v.in_language(self.lang)) for n, v in facts],
            samples=[list(one.items()) for one in look.seen.samples] if look.seen else (),
            note=note.in_language(self.lang) if note else "",
        )

    def _fields(
        self, options: Namespace, look: Looked, *, checked: bool, found: Mapping[str, list[str]]
    ) -> list[Field]:
        fields = [] if self.options.file else [_file_field(options, lang=self.lang)]
        fields += [self._file_question(question, options) for question in look.asked]
        for question in QUESTIONS:
            fields.append(self._field(question, options, checked=checked))
            if question.name == "language":
                fields += self._columns(options, look)
        fields.append(_uses(options, lang=self.lang))
        return [_with(one, found.get(one.name, [])) for one in fields]

    def _field(self, question: Question, options: Namespace, *, checked: bool) -> Field:
        given = getattr(options, question.name)
        value = value_of(question, given or "", self.lang)
        wrong = question.problem(value) if checked and given else None
        if question.choices and not given:
            value = question.default
        languages = value.split(",") if question.name == "language" and value else []
        known = [Named(one).in_language(self.lang) for one in languages if is_language(one)]
        return Field(
            question.name,
            question.text.in_language(self.lang),
            [value if question.choices else given or ""],
            [Choice(v, w.in_language(self.lang)) for v, w in question.choices.items()],
            proposals=[
                Choice(value, f"{value}: {words.in_language(self.lang)}")
                for value, words in question.proposals.items()
            ],
            is_long=question.name in LONG,
            note=", ".join(known),
            problems=[wrong.in_language(self.lang)] if wrong else [],
        )

    def _file_question(self, question: Question, options: Namespace) -> Field:
        """Return the field of a question that the files raise."""
        value = str(getattr(options, question.name, None) or "")
        wrong = question.problem(value) if value else None
        choices = [
            Choice(value, _with_value(question, value, words.in_language(self.lang)))
            for value, words in (question.choices or question.proposals).items()
        ]
        return Field(
            question.name,
            question.text.in_language(self.lang),
            [value],
            choices,
            is_list=question.name == "format",
            problems=[wrong.in_language(self.lang)] if wrong else [],
        )

    def _columns(self, options: Namespace, look: Looked) -> list[Field]:
        """Return a question for each role that a column holds; before the languages are known, for
        those of people, so that no card is written without them."""
        if look.form is None or not look.form.has_columns or look.seen is None:
            return []
        languages = codes_of(options.language or "")
        if not all(map(is_language, languages)):
            languages = []
        there = look.seen.columns
        known = bringing.guess_columns(
            there, languages=languages, in_order=bool(look.form.fixed_columns)
        ) | bringing.given_columns(options.column)
        choices = [Choice(column, column) for column in there]
        roles = {"text": sentence("Which column holds the text?")} if languages else {}
        if len(languages) > 1:
            roles = {
                one: sentence("Which column holds {language}?", language=Named(one))
                for one in languages
            }
        return [
            Field(
                COLUMN + role,
                text.in_language(self.lang),
                [known.get(role, "")],
                choices,
                is_list=True,
            )
            for role, text in (roles | PEOPLE).items()
        ]


def _with_value(question: Question, value: str, words: str) -> str:
    """Return the words of a choice about files, with the value where it says more than they do."""
    return f"{value}: {words}" if question.name in ("encoding", "separator") else words


def _filled(options: Namespace, fields: Fields) -> Namespace:
    """Return the options with the answers of a form in their place; all of them, once it was sent.

    An empty field is an answer: not stated.
    """
    filled = Namespace(**vars(options))
    if not fields:
        return filled
    for question in QUESTIONS:
        setattr(filled, question.name, _last(fields, question.name))
    if not options.file:
        named = _last(fields, "file").strip()
        filled.file = [home_filled_in(named)] if named else []
    filled.format = _last(fields, "format") or options.format
    for key in OPTIONS:
        setattr(filled, key, _last(fields, key) or getattr(options, key, None))
    filled.use = list(fields.get("use", ()))
    columns = {n.removeprefix(COLUMN): v[-1] for n, v in fields.items() if n.startswith(COLUMN)}
    filled.column = [f"{role}={column}" for role, column in columns.items() if column] or (
        options.column
    )
    return filled


_BUTTONS = frozenset({"action", "lang"})


def _kept(fields: Fields) -> dict[str, str]:
    """Return the answers of a form for the draft; of the uses all that are ticked."""
    answers = {name: _last(fields, name) for name in fields if name not in _BUTTONS}
    return answers | {"use": " ".join(fields.get("use", ()))}


def _draft(options: Namespace) -> Draft | None:
    """Return the kept answers about the files, as in a terminal; None before a file is named."""
    if not options.file:
        return None
    return draft_of(options.cards, options.name or name_from(options.file[0].name))


def _last(fields: Fields, name: str) -> str:
    """Return the value of a field; nothing if it was not sent."""
    return fields[name][-1] if fields.get(name) else ""


def _field_of(one: Problem) -> str:
    """Return the name of the field that a problem is about; nothing for none."""
    key = one.place.key if one.place is not None else ""
    if key == "FILE":
        return "file"
    return key.removeprefix("--").replace("-", "_") if key.startswith("--") else ""


def _with(one: Field, problems: Sequence[str]) -> Field:
    return replace(one, problems=list(dict.fromkeys([*one.problems, *problems])))


def _file_field(options: Namespace, *, lang: str) -> Field:
    """Return the question for the file, with the readable files of the folder as proposals."""
    found = sorted(path.name for path in Path().iterdir() if is_file(path))
    known = [name for name in found if format_of_suffix(Path(name).suffix) is not None]
    return Field(
        "file",
        sentence("Which file holds the texts?").in_language(lang),
        [str(file) for file in options.file],
        proposals=[Choice(name, name) for name in known[:MAX_PROPOSALS]],
    )


def _uses(options: Namespace, *, lang: str) -> Field:
    choices = [Choice(use, words.in_language(lang)) for use, words in USES.items()]
    return Field("use", PERMITTED.in_language(lang), list(options.use), choices, many=True)


def _count(count: int) -> Sentence:
    return counted(
        "{count} answer needs a correction.", "{count} answers need a correction.", count
    )


def _render(template: str, lang: str, /, **values: Any) -> str:
    say = {name: label.in_language(lang) for name, label in LABELS.items()}
    page: str = (
        environment("finetune.cards.web")
        .get_template(template)
        .render(lang=lang, say=say, **values)
    )
    return page
