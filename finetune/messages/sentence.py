"""Sentences as templates with named facts, rendered in a language when they are shown."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from finetune.messages.locales import ENGLISH, translation

COUNT = "count"
"""The fact that decides between singular and plural."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """An English template and the values that it names."""

    english: str
    named: tuple[tuple[str, Any], ...] = ()
    """(name, value) of each fact, in the order given."""
    plural: str = ""
    """The template for other counts than one; the number is the fact `count`."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Facts by name; lists are tuples."""
        return dict(self.named)

    def in_language(self, language: str) -> str:
        """Return the text in a language; English where it has no translation that fits the facts.

        A translation with a misspelt name of a fact must not hide the problem it states.
        """
        texts, facts = translation(language), self.facts
        if self.plural:
            template = texts.ngettext(self.english, self.plural, facts[COUNT])
        else:
            template = texts.gettext(self.english)
        formatter = _formatter(language)
        try:
            return formatter.vformat(template, (), facts)
        except (LookupError, ValueError):
            original = self.plural if self.plural and facts[COUNT] != 1 else self.english
            if template == original:
                raise
            return formatter.vformat(original, (), facts)

    def __str__(self) -> str:
        return self.in_language(ENGLISH)


def sentence(english: str, /, **facts: Any) -> Sentence:
    """Return a sentence; `english` is a literal template, which the extraction reads.

    Facts are values, not words made of them: `{count}` groups the digits of a number, `{line:d}`
    does not, `{share:.1%}` follows Python, `{word!r}` quotes; a list is joined with commas; a
    sentence as a fact is rendered in the same language.

    >>> str(sentence("{count} of {names} in {word!r}", count=1234, names=["a", "b"], word="x"))
    "1,234 of a, b in 'x'"
    """
    return Sentence(english, _named(facts))


def counted(one: str, several: str, count: int, /, **facts: Any) -> Sentence:
    """Return a sentence with a plural; the fact `count` decides, by the rule of the language.

    >>> [str(counted("{count} file", "{count} files", number)) for number in (0, 1)]
    ['0 files', '1 file']
    """
    return Sentence(one, _named({COUNT: count, **facts}), plural=several)


def phrase(text: object) -> Sentence:
    """Return text of others, or of a table, that is the same in every language."""
    return Sentence("{text}", (("text", str(text)),))


def joined(sentences: Iterable[Sentence], *, between: str = " ") -> Sentence:
    """Return several sentences as one, with `between` between them.

    >>> str(joined([sentence("A file."), sentence("{n} lines.", n=2000)]))
    'A file. 2,000 lines.'
    """
    parts = tuple(sentences)
    names = [f"part{number}" for number in range(len(parts))]
    template = between.replace("{", "{{").replace("}", "}}").join(f"{{{name}}}" for name in names)
    return Sentence(template, tuple(zip(names, parts, strict=True)))


def said_in(value: object, language: str) -> object:
    """Return a value, rendered if it is a sentence or a problem."""
    render = getattr(value, "in_language", None)
    return render(language) if render else value


def _named(facts: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, _hashable(value)) for name, value in facts.items())


def _hashable(value: Any) -> Any:
    """Return a value that can be compared and hashed: it identifies a problem."""
    if isinstance(value, str | bytes | Sentence):
        return value
    if isinstance(value, set | frozenset):
        return tuple(sorted(map(_hashable, value)))
    if isinstance(value, Iterable) and not isinstance(value, Path | Mapping):
        return tuple(map(_hashable, value))
    return value


@dataclass(frozen=True, slots=True)
class _Signs:
    """Signs that a language writes numbers and quotations with."""

    thousands: str
    decimal: str
    percent: str
    quotation: str
    """Template with `{}`."""


@cache
def _formatter(language: str) -> _Formatter:
    texts = translation(language)
    return _Formatter(
        language,
        _Signs(
            thousands=texts.pgettext("thousands separator", ","),
            decimal=texts.pgettext("decimal separator", "."),
            percent=texts.pgettext("percent sign", "%"),
            quotation=texts.pgettext("quotation", "'{}'"),
        ),
    )


class _Formatter(string.Formatter):
    """Formatting of facts by the habits of a language."""

    def __init__(self, language: str, signs: _Signs) -> None:
        self.language = language
        self.signs = signs

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        if conversion != "r":
            return super().convert_field(value, conversion)
        if isinstance(value, tuple | list):
            return [self.convert_field(one, conversion) for one in value]
        value = said_in(value, self.language)
        if not isinstance(value, str | Path):
            return repr(value)
        shown = repr(str(value))
        if self.language == ENGLISH:
            return shown
        # the escapes of repr stay: they show what a terminal would obey or hide
        return self.signs.quotation.replace("{}", shown[1:-1])

    def format_field(self, value: Any, format_spec: str) -> str:
        value = said_in(value, self.language)
        if isinstance(value, tuple | list):
            return ", ".join(self.format_field(one, format_spec) for one in value)
        if isinstance(value, Path):
            value = str(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return format(value, format_spec) if isinstance(value, str) else str(value)
        if isinstance(value, int) and not format_spec:
            format_spec = ","
        signs = str.maketrans(
            {",": self.signs.thousands, ".": self.signs.decimal, "%": self.signs.percent}
        )
        return format(value, format_spec).translate(signs)
