"""Texts made to slow a regular expression down, out of the expression itself."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

_parser = import_module("re._parser")
_EXAMPLES = {
    "CATEGORY_DIGIT": "1",
    "CATEGORY_NOT_DIGIT": "a",
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": "a",
    "CATEGORY_WORD": "a",
    "CATEGORY_NOT_WORD": " ",
}
_CANDIDATES = "a 1_-.\n\t[(<{/:@#*`|=\\\"'~A\u0915\x00"
FEW = 4
"""Characters that are tried of each set."""
SHORT, LONG = 300, 6000
"""Letters of a text that every pump is tried with, and of one that leaves no doubt."""
LONG_SECONDS = 0.006
"""Less than what the square of a long text takes: half of it is 18 million steps."""
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


def pumps(pattern: re.Pattern[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (prefix, unit, suffix): the unit many times between them is a hard text.

    Prefixes are what the beginning of the expression matches; units are characters of its own, and
    those beginnings themselves.
    """
    tree = _parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)
    beginnings = list(dict.fromkeys(["", *_beginnings(tree)]))[:15]
    units = list(dict.fromkeys(_letters(tree)))
    for beginning in beginnings:
        for unit in units:
            for suffix in ("", "\x00"):
                yield beginning, unit, suffix
        if beginning:
            yield "", beginning, ""


def _letters(tree: Any) -> Iterator[str]:
    for code, value in tree:
        yield from _of_part(str(code), value)


def _of_part(code: str, value: Any) -> Iterator[str]:
    if code in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
        yield from _examples(code, value)[:FEW]
    for inner in _inner(code, value):
        yield from _letters(inner)


def _inner(code: str, value: Any) -> list[Any]:
    if code == "SUBPATTERN":
        return [value[3]]
    if code in _REPEATS:
        return [value[2]]
    if code == "BRANCH":
        return list(value[1])
    if code in ("ASSERT", "ASSERT_NOT"):
        return [value[1]]
    return [value] if code == "ATOMIC_GROUP" else []


def _examples(code: str, value: Any) -> list[str]:
    """Return characters that a part for one character matches, different kinds of them first."""
    if code == "LITERAL":
        return [chr(value)]
    if code == "ANY":
        return [c for c in _CANDIDATES if c != "\n"]
    if code == "NOT_LITERAL":
        return [c for c in _CANDIDATES if ord(c) != value]
    negated = [kind for kind, _ in value if str(kind) == "NEGATE"]
    own = []
    for kind, what in value:
        if str(kind) == "LITERAL":
            own.append(chr(what))
        elif str(kind) == "RANGE":
            own += [chr(what[0]), chr(what[1])]
        elif str(kind) == "CATEGORY":
            own.append(_EXAMPLES[str(what)])
    return [c for c in _CANDIDATES if c not in own] if negated else own


def _beginnings(tree: Any, before: str = "") -> Iterator[str]:
    """Yield texts that the first part matches, the first two, and so on, inside groups as well."""
    text = before
    for code, value in tree:
        for inner in _inner(str(code), value):
            yield from _beginnings(inner, text)
        text += _sample(str(code), value)
        yield text


def _sample(code: str, value: Any) -> str:
    if code in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
        return (_examples(code, value) or [""])[0]
    if code in ("MAX_REPEAT", "MIN_REPEAT"):
        return "".join(_sample(str(c), v) for c, v in value[2]) * max(1, min(value[0], 40))
    if code in ("ASSERT", "ASSERT_NOT"):
        return ""
    return "".join(_sample(str(c), v) for c, v in (_inner(code, value) or [[]])[0])


def seconds(pattern: re.Pattern[str], text: str, *, how: str, times: int = 1) -> float:
    """Return the CPU seconds of looking through a text: the smallest of several."""
    found = []
    for _ in range(times):
        begin = time.process_time()
        if how == "finditer":
            deque(pattern.finditer(text), maxlen=0)
        else:
            getattr(pattern, how)(text)
        found.append(time.process_time() - begin)
    return min(found)


def grows_with_the_square(
    pattern: re.Pattern[str], *, how: str = "finditer"
) -> tuple[str, str, str] | None:
    """Return the pump that makes an expression take more than its length, or None.

    `how`: the method it is used with. One that repeats nothing looks at a few letters per place.
    """
    if not _repeats(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)):
        return None
    for prefix, unit, suffix in pumps(pattern):

        def text(length: int, pump: tuple[str, str, str] = (prefix, unit, suffix)) -> str:
            return pump[0] + pump[1] * (length // len(pump[1])) + pump[2]

        if not _may_grow(pattern, text, how=how):
            continue
        for length in (3 * SHORT, 2000, LONG):
            if seconds(pattern, text(length), how=how) < LONG_SECONDS:
                continue
            # a second time, since the clock of a busy machine is not exact at a few milliseconds
            once, double = text(length), text(2 * length)
            if all(_is_slower(pattern, once, double, how=how) for _ in range(2)):
                return prefix, unit, suffix
    return None


def _repeats(tree: Any) -> bool:
    return any(
        str(code) in _REPEATS or any(map(_repeats, _inner(str(code), value)))
        for code, value in tree
    )


def _may_grow(pattern: re.Pattern[str], text: Callable[[int], str], *, how: str) -> bool:
    """Return whether short texts leave a doubt.

    Where steps that grow with the square are as many as all others on a long text, three times a
    short one takes 3.3 times as long or more. What takes no longer than the same part of
    LONG_SECONDS cannot grow.
    """
    triple = seconds(pattern, text(3 * SHORT), how=how)
    if triple < LONG_SECONDS * (3 * SHORT / LONG) ** 2:
        return False
    return triple > 3.2 * seconds(pattern, text(SHORT), how=how, times=3)


def _is_slower(pattern: re.Pattern[str], text: str, double: str, *, how: str) -> bool:
    """Return whether a text of twice the length takes more than three times as long."""
    once = seconds(pattern, text, how=how, times=3)
    return once >= LONG_SECONDS and seconds(pattern, double, how=how, times=3) > 3 * once
