"""A person at a terminal: questions asked until an answer fits, each answer kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from finetune.cards.asking.draft import Draft
from finetune.cards.language_names import codes_of
from finetune.cards.questions import NUMBER_OR_NAME, Question
from finetune.messages import Sentence, counted, joined, sentence
from finetune.spec.language import MOST_LANGUAGES, Named, find_languages, is_language

CHOOSE = sentence("That is none of the choices. Type the number of one:")
Ask = Callable[[str], str]
"""Shows a question and returns what was typed."""
Tell = Callable[[str], None]
"""Shows a line."""


def unheard(_line: str) -> None:
    """Show nothing."""


@dataclass(slots=True)
class Person:
    """Asks questions in a language; owns the answers so far."""

    ask: Ask
    lang: str
    draft: Draft
    tell: Tell = unheard
    asked: dict[str, Question] = field(default_factory=dict)
    """Questions so far, also those with a kept answer, by name."""

    def say(self, *lines: Sentence) -> None:
        """Show lines."""
        for line in lines:
            self.tell(line.in_language(self.lang))

    def answer(self, question: Question) -> str:
        """Return the answer to a question: the kept one if it fits, or what the person answers."""
        self.asked[question.name] = question
        kept = self.draft.answers.get(question.name)
        if kept is not None and question.problem(kept) is None:
            return kept
        names_languages = question.name == "language"
        value = self._languages(question) if names_languages else self._asked(question)
        self.draft.keep(question.name, value)
        return value

    def summary(self) -> dict[str, Sentence]:
        """Return the answers to the questions so far: name -> heading and words."""
        return {name: _answered(one, self.draft.answers[name]) for name, one in self.asked.items()}

    def _asked(self, question: Question) -> str:
        text = question.asked(self.lang)
        while True:
            value = value_of(question, self.ask(text), self.lang)
            unfit = question.problem(value)
            if unfit is None:
                return value
            again = CHOOSE if question.choices else unfit
            text = again.in_language(self.lang)
            if question.choices or question.proposals:
                text = f"{text}\n{question.listed(self.lang)}"

    def _languages(self, question: Question) -> str:
        """Return languages; those that were typed by name are shown, and may be typed again."""
        text, understood = question.asked(self.lang), ""
        while True:
            typed = self.ask(text).strip()
            if understood and not typed:
                return understood
            value = self._one_each(value_of(question, typed, self.lang))
            unfit = question.problem(value)
            understood = "" if unfit else value
            if unfit is None and all(map(is_language, typed.replace(",", " ").split())):
                return value
            text = (unfit or _understood(value)).in_language(self.lang)

    def _one_each(self, languages: str) -> str:
        """Return languages with one in the place of each name that several have."""
        return ",".join(self._one(part) for part in languages.split(","))

    def _one(self, name: str) -> str:
        """Return the language that a person means by a name; the name if no language has it."""
        while not is_language(name) and len(found := find_languages(name)) > 1:
            which = _which(name, found)
            name = value_of(which, self.ask(which.asked(self.lang)), self.lang) or name
        return name


def _answered(question: Question, value: str) -> Sentence:
    if question.name == "language":
        words: object = [Named(code) for code in value.split(",")]
    elif question.name == "contact":  # it is made public; masked, it could not be corrected
        words = value or "—"
    else:
        words = question.words(value) if value else "—"
    return sentence("{name}: {value}", name=question.heading, value=words)


def _understood(languages: str) -> Sentence:
    return sentence(
        "{languages}. Enter: go on; to correct it, type the language again.",
        languages=[Named(code) for code in languages.split(",")],
    )


def _which(name: str, found: Sequence[str]) -> Question:
    """Return the question for one of several languages of a name."""
    text = sentence("Several languages are called {name}. Which is it?", name=name)
    if (others := len(found) - MOST_LANGUAGES) > 0:
        more = counted(
            "({count} other is not shown: type its name or code)",
            "({count} others are not shown: type the name or code)",
            others,
        )
        text = joined([text, more])
    shown = {code: Named(code, "{name}") for code in found[:MOST_LANGUAGES]}
    return Question(
        "language", text, heading=sentence("language"), hint=NUMBER_OR_NAME, proposals=shown
    )


def value_of(question: Question, answer: str, lang: str) -> str:
    """Return the value that an answer to a question stands for; of languages codes with commas."""
    value = question.value_of(answer, lang)
    return ",".join(codes_of(value)) if question.name == "language" else value
