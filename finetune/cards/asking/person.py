"""A person at a terminal: questions asked until an answer fits, each answer kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from finetune.cards.asking.draft import Draft
from finetune.cards.language_names import codes_of
from finetune.cards.questions import Question
from finetune.messages import Sentence, sentence
from finetune.spec.language import Named, find_languages, is_language

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

    def say(self, *lines: Sentence) -> None:
        """Show lines."""
        for line in lines:
            self.tell(line.in_language(self.lang))

    def answer(self, question: Question) -> str:
        """Return the answer to a question: the kept one if it fits, or what the person answers."""
        kept = self.draft.answers.get(question.name)
        if kept is not None and question.problem(kept) is None:
            return kept
        value = self._asked(question)
        self.draft.keep(question.name, value)
        return value

    def _asked(self, question: Question) -> str:
        text = question.asked(self.lang)
        while True:
            value = value_of(question, self.ask(text), self.lang)
            if question.name == "language":
                value = self._one_each(value)
            unfit = question.problem(value)
            if unfit is None:
                return value
            text = unfit.in_language(self.lang)
            if question.choices or question.proposals:
                text = f"{text}\n{question.listed(self.lang)}"

    def _one_each(self, languages: str) -> str:
        """Return languages with one in the place of each name that several have."""
        return ",".join(self._one(part) for part in languages.split(","))

    def _one(self, name: str) -> str:
        found = () if is_language(name) else find_languages(name)
        if len(found) < 2:
            return name
        which = Question(
            "which-language",
            sentence("Several languages are called {name}. Which is it?", name=name),
            choices={code: Named(code, "{name}") for code in found},
        )
        return self._asked(which)


def value_of(question: Question, answer: str, lang: str) -> str:
    """Return the value that an answer to a question stands for; of languages codes with commas."""
    value = question.value_of(answer, lang)
    return ",".join(codes_of(value)) if question.name == "language" else value
