"""The questions of `finetune cards new`, their choices, and the rules for their answers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune.errors import suggestion
from finetune.messages import ENGLISH, Problem, Sentence, phrase, problem, sentence
from finetune.output.digits import whole_number
from finetune.spec.language import language_problem
from finetune.spec.licence import KNOWN
from finetune.text.shown import shown

MIN_BEGINNING = 3
MAX_ENDING = 2
Choices = Mapping[str, Any]
"""Value that stands in a card -> its words for people: a sentence, or a language by its name."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question, the answer that Enter stands for, and what makes an answer unfit."""

    name: str
    text: Sentence
    heading: Sentence
    """The question in a word or two, for a list of answers."""
    default: str = ""
    choices: Choices = field(default_factory=dict)
    """The only answers, if there are any."""
    proposals: Choices = field(default_factory=dict)
    """Answers that are shown with a number; others are possible."""
    hint: Sentence | None = None
    """Hint for a terminal; a page shows the choices themselves."""
    optional: bool = False
    """True if Enter is an answer beside the choices."""
    by_words: bool = False
    """True if the words of the choices are shown instead of the values, which only cards know."""
    rule: Callable[[str], Problem | None] = lambda _answer: None

    def problem(self, answer: str) -> Problem | None:
        """Return what is wrong with an answer, or None."""
        if self.optional and not answer:
            return None
        if self.choices and answer not in self.choices:
            return not_among(self.choices, answer)
        return self.rule(answer)

    def asked(self, language: str) -> str:
        """Return the question as a person sees it: with numbered choices and the default."""
        lines = [self.text.in_language(language)]
        if self.hint is not None:
            lines[-1] += f" ({self.hint.in_language(language)})"
        if self.choices or self.proposals:
            lines.append(self.listed(language))
        elif self.default:
            lines[-1] += f" [{self.default}]"
        if self.default and self.choices:
            enter = sentence("Enter: {default}", default=self.words(self.default))
            lines.append(f"  {enter.in_language(language)}")
        return "\n".join(lines)

    def listed(self, language: str) -> str:
        """Return the choices or proposals, a numbered line for each."""
        lines = []
        for number, (value, words) in enumerate((self.choices or self.proposals).items(), start=1):
            about = words.in_language(language)
            if not self.by_words:
                about = shown(value) + (f" ({about})" if about else "")
            lines.append(f"  {number}  {about}")
        return "\n".join(lines)

    def words(self, value: str) -> Sentence:
        """Return an answer as it is shown: by its words, or itself."""
        return self.choices[value] if self.by_words else phrase(shown(value))

    def value_of(self, answer: str, language: str) -> str:
        """Return the value that an answer stands for: a number or words of a choice, or itself.

        The beginning of the words is enough where no other choice begins so.
        """
        answer = answer.strip() or self.default
        known = self.choices or self.proposals
        if not answer or (not self.choices and _folded(answer) in _NOT_STATED):
            return ""
        number = whole_number(answer.rstrip(".)"))
        if number and number <= len(known):
            return list(known)[number - 1]
        typed = _folded(answer)
        words = {
            value: [_folded(value)]
            + [_folded(about.in_language(one)) for one in (language, ENGLISH) if self.choices]
            for value, about in known.items()
        }
        for fits in (str.__eq__, _begins):
            found = [value for value, texts in words.items() if any(fits(t, typed) for t in texts)]
            if len(found) == 1:
                return found[0]
            if answer in known:
                return answer
        return answer


def _begins(text: str, typed: str) -> bool:
    """Return whether what was typed is the beginning of a text, or the text with an ending."""
    longer = len(typed) - len(text)
    return len(typed) >= MIN_BEGINNING and (
        text.startswith(typed) or (0 < longer <= MAX_ENDING and typed.startswith(text))
    )


def not_among(known: Mapping[str, Any], answer: str = "") -> Problem:
    """Return the problem of an answer that is none of the choices."""
    return problem(
        "no-such-choice",
        "write one of these: {known}{hint}",
        known=list(known),
        hint=suggestion(answer, known),
    )


def _folded(text: str) -> str:
    """Return a text without case, accents and what stands in brackets."""
    letters = unicodedata.normalize("NFD", text.partition("(")[0].strip().casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _language_rule(answer: str) -> Problem | None:
    languages = [one.strip() for one in answer.split(",") if one.strip()]
    unfit = [found for one in languages if (found := language_problem(one))]
    if unfit:
        return unfit[0]
    return None if languages else problem("language-needed", "a language is needed")


def _licence_rule(answer: str) -> Problem | None:
    if not answer or answer in KNOWN - {"other"}:
        return None
    if "://" in answer:  # a community licence: its name and where it can be read
        if len(answer.split()) >= 2:
            return None
        return problem(
            "licence-without-name", "write its name before the address, with a space between them"
        )
    if _folded(answer) in _VAGUE:
        return problem(
            "licence-vague",
            "{answer!r} can mean several licences; write one of these, or nothing if it is not "
            "decided yet: {known}",
            answer=answer,
            known=list(LICENCES),
        )
    return problem(
        "licence-not-listed",
        "{answer!r} is not a licence that the Hub knows; for a licence of your community, write "
        "its name and its address, e.g. nwulite-obodo https://example.org{near}",
        answer=answer,
        near=suggestion(answer, sorted(KNOWN)) if re.search(r"\d|-", answer) else phrase(""),
    )


def _contact_rule(answer: str) -> Problem | None:
    if not answer or _ADDRESS.search(answer):
        return None
    return problem(
        "contact-no-address",
        "{answer!r} is no address; write an e-mail address (awa@example.org), a web address "
        "(https://example.org), a telephone number with its country (+221 33 123 45 67), or "
        "{unstated}",
        answer=shown(answer),
        unstated=NOT_STATED,
    )


_ADDRESS = re.compile(
    r"[^\s@<>]{1,64}@[^\s@<>]{1,255}\.\w{2,}"  # e-mail
    r"|https?://\S|\bwww\.\S|(?<![\w.])(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,63}(?![\w.])"  # web
    r"|\+\d[\d ().\u00a0\u202f/-]{5,}\d"  # telephone
)
NOT_STATED = sentence("not stated")
_NOT_STATED = frozenset(
    {"not stated", "not-stated", "non precise", "non precisee", "non indique", "non indiquee"}
    | {"unknown", "not known", "inconnu", "inconnue", "n/a", "none", "aucun", "aucune", "-", "?"}
)
"""Answers that state nothing, folded."""
_VAGUE = frozenset(
    {"libre", "licence libre", "free", "open", "ouvert", "ouverte", "licence ouverte", "gratuit"}
    | {"cc", "creative commons", "creative common", "public", "publique", "open source"}
    | {"domaine public", "public domain", "share alike", "non commercial"}
)
"""Answers that name no licence, folded."""
LICENCES: Choices = {
    "cc0-1.0": sentence("everyone may do anything; naming you is not required"),
    "cc-by-4.0": sentence("everyone may do anything, if they name you"),
    "cc-by-sa-4.0": sentence("the same, and what is made of it gets this licence too"),
    "cc-by-nc-4.0": sentence("if they name you, and earn nothing with it"),
    "cc-by-nc-sa-4.0": sentence("the same, and what is made of it gets this licence too"),
}
"""The usual licences of texts, with what they permit."""
BASES: Choices = {
    "written": sentence("in writing"),
    "spoken": sentence("by word of mouth"),
    "community": sentence("by a decision of the community"),
    "licence": sentence("the texts were published under a licence, and no one was asked"),
    "public-domain": sentence("public domain"),
    "not-stated": sentence("not known"),
}
PERSONAL: Choices = {
    "none-known": sentence("none known"),
    "present": sentence("present"),
    "removed": sentence("removed"),
    "not-stated": sentence("not known"),
}
NAMES: Choices = {
    "none": sentence("no one is named"),
    "public-figures": sentence("only public figures"),
    "pseudonymised": sentence("names were replaced by others"),
    "present": sentence("private people are named"),
    "not-stated": sentence("not known"),
}
UNKNOWN = sentence("Enter: not known")
NUMBER_OR_WORD = sentence("number or word")
NUMBER_OR_NAME = sentence("number or name")
QUESTIONS = (
    Question(
        "language",
        sentence(
            "Which language are the texts in? (name or code, e.g. Wolof or wol_Latn; for "
            "translations all of them, separated by commas)"
        ),
        heading=sentence("language"),
        rule=_language_rule,
    ),
    Question(
        "title",
        sentence("A title, as readers will see it"),
        heading=sentence("title"),
    ),
    Question(
        "dialect",
        sentence("Which dialect or region?"),
        heading=sentence("dialect"),
        hint=UNKNOWN,
    ),
    Question(
        "orthography",
        sentence("Which spelling standard do the texts follow, if any?"),
        heading=sentence("spelling standard"),
        hint=UNKNOWN,
    ),
    Question(
        "speakers",
        sentence("Who spoke or wrote these texts? (only what these people agree to make public)"),
        heading=sentence("speakers"),
    ),
    Question(
        "licence",
        sentence(
            "Under which licence? If it is your community's own, write its name and its address."
        ),
        heading=sentence("licence"),
        hint=sentence("number or name; Enter: not decided yet"),
        proposals=LICENCES,
        rule=_licence_rule,
    ),
    Question(
        "basis",
        sentence("How did people agree?"),
        heading=sentence("basis of consent"),
        hint=NUMBER_OR_WORD,
        default="not-stated",
        choices=BASES,
        by_words=True,
    ),
    Question(
        "consent",
        sentence("What was agreed, in one sentence?"),
        heading=sentence("what was agreed"),
    ),
    Question(
        "withdrawal",
        sentence("Who may withdraw texts, and how do they ask for it?"),
        heading=sentence("withdrawal"),
    ),
    Question(
        "contact",
        sentence("Who can be asked about the texts? (an address)"),
        heading=sentence("contact"),
        rule=_contact_rule,
    ),
    Question(
        "personal_data",
        sentence("Personal data in the texts (names, numbers, health)?"),
        heading=sentence("personal data"),
        hint=NUMBER_OR_WORD,
        default="not-stated",
        choices=PERSONAL,
        by_words=True,
    ),
    Question(
        "personal_names",
        sentence("Are people named in the texts?"),
        heading=sentence("people named"),
        hint=NUMBER_OR_WORD,
        default="not-stated",
        choices=NAMES,
        by_words=True,
    ),
)
"""In the order in which they are asked; each is an option of the command line too."""
