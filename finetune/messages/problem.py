"""Problems: a code, a place and facts, with the sentence that states them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from finetune.messages.locales import ENGLISH, translation
from finetune.messages.sentence import Sentence, said_in, sentence


@dataclass(frozen=True, slots=True)
class Place:
    """Place of a problem: in a file, or only a key or an option."""

    file: str | os.PathLike[str] = ""
    line: int | None = None
    """From 1."""
    column: int | None = None
    """From 1, in characters."""
    key: str = ""
    """Of a recipe, card or site (`train.max_steps`), or an option (`--language`)."""
    part: Sentence | None = None
    """Part of a file that has no lines: `sentence("row {number:d}", number=3)`."""

    def __post_init__(self) -> None:
        if not isinstance(self.file, str):  # most are: there is one for each text of a corpus
            object.__setattr__(self, "file", os.fspath(self.file))

    def in_language(self, language: str) -> str:
        """Return `file:line:column: part: key`, as far as it is known."""
        numbers = [str(number) for number in (self.line, self.column) if number is not None]
        parts = [":".join([*([str(self.file)] if self.file else []), *numbers])]
        parts += [str(said_in(self.part, language))] if self.part else []
        return ": ".join(part for part in (*parts, self.key) if part)

    def __str__(self) -> str:
        return self.in_language(ENGLISH)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong, and what to do about it."""

    code: str
    """Its kind, for programs and tests: words with hyphens."""
    what: Sentence
    place: Place | None = None

    @property
    def facts(self) -> Mapping[str, Any]:
        """Facts of the sentence by name; lists are tuples."""
        return self.what.facts

    def at(self, place: Place | None) -> Problem:
        """Return the same problem at another place."""
        return replace(self, place=place)

    def in_language(self, language: str) -> str:
        """Return the message in a language, with its place before it."""
        what = self.what.in_language(language)
        where = self.place.in_language(language) if self.place else ""
        return f"{where}{colon(language)}{what}" if where else what

    def as_json(self, language: str = ENGLISH) -> dict[str, Any]:
        """Return code, place, facts and message for `--json`."""
        place = self.place or Place()
        return {
            "code": self.code,
            "file": str(place.file) or None,
            "line": place.line,
            "column": place.column,
            "key": place.key or None,
            "part": place.part.in_language(language) if place.part else None,
            "facts": {name: _plain(value, language) for name, value in self.facts.items()},
            "message": self.in_language(language),
        }

    def __str__(self) -> str:
        return self.in_language(ENGLISH)


def problem(
    code: str, english: str | Sentence, /, *, at: Place | None = None, **facts: Any
) -> Problem:
    """Return a problem; `english` is a literal template as in `sentence`, without the place.

    Where the sentence has a plural it is one of `counted`, with its facts.

    >>> str(problem("no-column", "has no column {name!r}", at=Place("a.csv", 1), name="text"))
    "a.csv:1: has no column 'text'"
    """
    what = english if isinstance(english, Sentence) else sentence(english, **facts)
    return Problem(code, what, at)


def colon(language: str) -> str:
    """Return the colon between a place and a message, with the spaces of a language."""
    return translation(language).pgettext("colon", ": ")


def _plain(value: object, language: str) -> Any:
    value = said_in(value, language)
    if isinstance(value, tuple | list):
        return [_plain(one, language) for one in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
