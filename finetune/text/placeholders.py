"""Placeholders of software messages: `%s`, `%(name)s`, `{0}`, `{{name}}`, `${name}`, `%1`, ICU."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

PLACEHOLDERS: Mapping[str, str] = {
    # framework -> pattern of one placeholder; the first that fits counts
    "ICU with cases": r"\{\s*(?P<cases>[\w.-]{1,60})\s*,\s*(?:plural|select|selectordinal)\s*,",
    "ICU with a format": (
        r"\{\s*(?P<formatted>[\w.-]{1,60})\s*,\s*(?:number|date|time|duration)\b[^{}]*\}"
    ),
    "Angular, Vue, Mustache": r"\{\{\{?\s*(?P<double>[^{}\n]{1,80}?)\s*\}?\}\}",
    "shell, JavaScript, Ruby": r"[$#%]\{\s*(?P<marked>[\w.-]{1,60})\s*\}",
    "Python's format, C#, Java, ICU": (
        r"\{(?P<brace>\w{0,60}(?:\.\w{1,60}){0,9})(?:![rsa])?(?::[^{}\s]{0,20})?\}"
    ),
    "Python with names": r"%\((?P<named>\w{1,60})\)[-+#0 ]?\d{0,3}(?:\.\d{1,3})?[a-zA-Z]",
    "C, PHP, Objective-C": (
        r"(?<![\d%])%(?P<position>\d{1,2}\$)?[-+#0']{0,3}(?:\*|\d{1,3})?(?:\.(?:\*|\d{1,3}))?"
        r"(?:hh|h|ll|l|L|q|j|z|t)?(?P<letter>[diouxXeEfFgGcspaA@])(?![A-Za-z]{2})"
    ),
    "Qt": r"(?<![\d%])%L?(?P<qt>[1-9]|n)(?![\w$%])",
    "browser extensions": r"\$(?P<dollars>[A-Z][A-Z0-9_]{0,60}|[1-9])\$",
}
"""A percent sign after a digit is a percentage, and one with words behind it is too."""
_ANY = re.compile("|".join(PLACEHOLDERS.values()))
_CASES = re.compile(PLACEHOLDERS["ICU with cases"])
_KEY = re.compile(r"\s*(?:offset:\d{1,9}\s+)?(?:=\d{1,9}|[\w-]{1,60})\s*\{")
"""The key of a case with its brace: `one {`, `=0 {`, `female {`."""
_MAYBE = re.compile(r"[%{$]")
_LATEX = re.compile(r"\\[A-Za-z]{2,20}\{[^{}]{0,80}\}")
_SAME_LETTER = {"i": "d", "u": "d", "@": "s"}


def placeholders_in(text: str) -> list[str]:
    """Return the placeholders of a text as it has them, in order.

    >>> placeholders_in("Hi {{ name }}, %d of %(all)s at 100 % or 5%")
    ['{{ name }}', '%d', '%(all)s']
    """
    return [found[0] for found in _ANY.finditer(text)] if _MAYBE.search(text) else []


def placeholder_spans(text: str) -> list[tuple[int, int]]:
    """Return where the placeholders of a text begin and end, in order.

    >>> placeholder_spans("Hi {name}")
    [(3, 9)]
    """
    return [found.span() for found in _ANY.finditer(text)] if _MAYBE.search(text) else []


def without_placeholders(text: str) -> str:
    """Return a text with a space for each placeholder, and of texts with cases their words.

    >>> without_placeholders("Sannu {name}, %d")
    'Sannu  ,  '
    >>> without_placeholders("{n, plural, one {sako} other {saƙonni {x}}}").split()
    ['sako', 'saƙonni']
    """
    if not _MAYBE.search(text):
        return text
    return _ANY.sub(" ", text) if _CASES.search(text) is None else "".join(_words_of_cases(text))


def _words_of_cases(text: str) -> Iterator[str]:
    """Yield a text with cases in pieces: the head, the keys and the braces of cases as spaces."""
    is_argument: list[bool] = []  # of each open brace: an argument with cases, or one of its cases
    at = 0
    while at < len(text):
        key = _KEY.match(text, at) if is_argument and is_argument[-1] else None
        mark = _ANY.match(text, at)
        if key:
            is_argument.append(False)
            at = key.end()
        elif mark:
            if mark["cases"]:
                is_argument.append(True)
            at = mark.end()
        elif text[at] == "}" and is_argument:
            is_argument.pop()
            at += 1
        else:
            yield text[at]
            at += 1
            continue
        yield " "


def placeholders_differ(source: str, target: str) -> bool:
    """Return whether a translation lacks a placeholder of its source, or has another one.

    Order, positions (`%1$s`), flags and repeated names are free. Of texts with cases (ICU `plural`
    and `select`) only the arguments with cases are compared: the words of a case stand in braces.

    >>> placeholders_differ("%s of %d", "%2$d ci %1$s"), placeholders_differ("Hi {name}", "Salaam")
    (False, True)
    """
    if not _MAYBE.search(source + target):
        return False
    ours, theirs = _counts(source), _counts(target)
    if any(kind == "cases" for kind, _ in (*ours, *theirs)):
        return _cases(ours) != _cases(theirs)
    # some languages put the percent sign before the number: `%5` is Qt's only if the source has it
    theirs = Counter({one: n for one, n in theirs.items() if one[0] != "qt" or one in ours})
    return ours != theirs


def _cases(counts: Counter[tuple[str, str]]) -> set[str]:
    return {name for kind, name in counts if kind == "cases"}


def _counts(text: str) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for found in _ANY.finditer(_LATEX.sub(" ", text)):
        kinds = found.groupdict()
        if letter := kinds["letter"]:
            counts["c", _SAME_LETTER.get(letter, letter)] += 1
            continue
        kind, name = next((k, n) for k, n in kinds.items() if n is not None and k != "position")
        # names may be said again, and a nameless {} may not
        counts["brace" if kind == "formatted" else kind, name] = (
            1 if name else (counts[kind, name] + 1)
        )
    return counts
