"""Plural rules of gettext catalogues: the form that stands for one, and the forms for more."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_FORMS = re.compile(r"nplurals\s*=\s*(\d{1,2})\s*;\s*plural\s*=\s*([^;]{1,400})", re.IGNORECASE)
_TOKEN = re.compile(r"\s*(\d{1,9}|\|\||&&|[=!<>]=|[-+*/%<>!?:()n])")
_LEVELS: tuple[dict[str, Callable[[int, int], int]], ...] = (
    {"||": lambda a, b: int(bool(a or b))},
    {"&&": lambda a, b: int(bool(a and b))},
    {"==": lambda a, b: int(a == b), "!=": lambda a, b: int(a != b)},
    {
        "<": lambda a, b: int(a < b),
        ">": lambda a, b: int(a > b),
        "<=": lambda a, b: int(a <= b),
        ">=": lambda a, b: int(a >= b),
    },
    {"+": lambda a, b: a + b, "-": lambda a, b: a - b},
    {"*": lambda a, b: a * b, "/": lambda a, b: a // b, "%": lambda a, b: a % b},
)
"""Operators of C, weakest first."""
MAX_DEPTH = 40
COUNTED = 210
"""Counts for which a rule is asked."""


@dataclass(frozen=True, slots=True)
class PluralRule:
    """The form of a message for one, as a header states it."""

    forms: int
    """Number of forms."""
    one: int
    """Number of the form for one."""
    one_is_more: bool
    """True if that form stands for other counts from two on as well (21, or every count)."""


def plural_rule(header: str) -> PluralRule | None:
    """Return the rule in the header of a catalogue; None for no rule, or none that can be read.

    >>> plural_rule("nplurals=2; plural=(n > 1);")
    PluralRule(forms=2, one=0, one_is_more=False)
    >>> plural_rule("nplurals=1; plural=0;")
    PluralRule(forms=1, one=0, one_is_more=True)
    """
    found = _FORMS.search(header)
    if not found:
        return None
    try:
        numbers = [_Expression(found[2], n).value() for n in range(COUNTED)]
    except (ValueError, ZeroDivisionError):
        return None
    one = numbers[1]
    return PluralRule(int(found[1]), one, one in numbers[2:])


class _Expression:
    """An expression of C over `n`; ValueError for anything else."""

    def __init__(self, text: str, n: int) -> None:
        self.n = n
        self.tokens: list[str] = []
        text, at = text.strip(), 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found:
                raise ValueError(text[at:])
            self.tokens.append(found[1])
            at = found.end()
        self.tokens.reverse()  # the next one is the last
        self.depth = 0

    def value(self) -> int:
        number = self._choice()
        if self.tokens:
            raise ValueError(self.tokens)
        return number

    def _take(self, *tokens: str) -> str | None:
        return self.tokens.pop() if self.tokens and self.tokens[-1] in tokens else None

    def _choice(self) -> int:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError("too deep")
        test = self._level(0)
        if self._take("?"):
            first = self._choice()
            if not self._take(":"):
                raise ValueError("no :")
            other = self._choice()
            test = first if test else other
        self.depth -= 1
        return test

    def _level(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._atom()
        value = self._level(level + 1)
        while operator := self._take(*_LEVELS[level]):
            value = _LEVELS[level][operator](value, self._level(level + 1))
        return value

    def _atom(self) -> int:
        if self._take("!"):
            return int(not self._atom())
        if self._take("("):
            value = self._choice()
            if not self._take(")"):
                raise ValueError("no )")
            return value
        part = self.tokens.pop() if self.tokens else ""
        if part == "n":
            return self.n
        if not part.isdigit():
            raise ValueError(part)
        return int(part)
