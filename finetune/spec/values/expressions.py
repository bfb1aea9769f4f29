r"""Regular expressions of cards: the notation of Python, searched in linear time.

A card is a stranger's file, and Python's own engine takes time that doubles with every letter for
`^(a+)+$`. So an expression is parsed by Python, each set of characters is taken from Python, and
RE2 does the search: what is found is what `re.search` finds, in a time that grows with the text.

RE2 knows word boundaries in ASCII only, and no `$` before a last line end. Where they could matter
the text is laid out with a mark at each such place, and the expression looks for the marks.

Look-around, back references, atomic groups and possessive repeats need another kind of engine and
are refused.
"""

from __future__ import annotations

import re
import sys
import warnings
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from itertools import pairwise
from typing import Any

import re2

from finetune.spec.values import expression_problems as problems

MAX_EXPRESSION_CHARACTERS = 2000
MAX_PROGRAM_BYTES = 8 * 2**20
"""Memory limit of the compiled expression and the states of its search."""
MAX_PROGRAM_STEPS = 20_000
"""Steps of the compiled expression. A search takes at most about a nanosecond for each of them and
character, which was measured; `\\w` has 1,300, as it knows the letters of every script."""
MAX_DEPTH = 100
"""Groups inside groups."""
MAX_REPEAT = 1000
"""The largest number in `{...}`; RE2 takes a larger one for letters, or for nothing."""
MAX_MARKS = 16
"""Maximum number of word boundaries (or last line ends) in an expression, repeats counted."""
_parser = import_module("re._parser")  # the only place that knows how Python reads an expression
_codes = import_module("re._constants")

_TEXT_FLAGS = re.IGNORECASE | re.ASCII
_PLACES = {
    # what Python calls a place -> the expression that finds such places, and how RE2 writes it
    # ("": not at all)
    "AT_BEGINNING": (r"\A", r"\A"),
    "AT_BEGINNING_STRING": (r"\A", r"\A"),
    "AT_BEGINNING_LINE": (r"(?m:^)", r"(?m:^)"),
    "AT_END_LINE": (r"(?m:$)", r"(?m:$)"),
    "AT_END_STRING": (r"\Z", r"\z"),
    "AT_END": (r"$", ""),
    "AT_BOUNDARY": (r"\b", ""),
    "AT_NON_BOUNDARY": (r"\B", ""),
}
_FIRST_MARK = 0x10FE00
"""Marks are private characters at the very end of Unicode, 256 of them: a bit for each kind."""
_MARKS = re.compile("[\U0010fe00-\U0010feff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_STAND_IN = "\ufffd"
"""For what no text holds: marks and halves of a character."""
_LAST = sys.maxunicode
_LAST_SPACE = 0x3000
_LAST_WITH_CASE = 0x1FFFF
"""No space and no letter with case comes after these; a test asks Python."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression, ready to search texts in a time that grows with their length alone."""

    written: str
    near: Any
    """RE2 without the places that it does not know: where it finds nothing, there is nothing."""
    exact: Any
    """RE2 over a text with marks; None if `near` is enough."""
    places: tuple[str, ...]
    """Expressions that find the places to be marked; a bit each."""
    only_line_ends: bool
    """True if `near` is enough for a text of one line."""

    def search(self, text: str) -> bool:
        r"""Say whether the expression finds something in a text, as `re.search` does.

        >>> compiled(r"\bɓ\w+$").search("na ɓata\n"), compiled("ɓ$").search("ɓata")
        (True, False)
        """
        if not text.isascii():
            text = _SURROGATES.sub(_STAND_IN, text)
        if not self.near.search(text):
            return False
        if self.exact is None or (self.only_line_ends and "\n" not in text):
            return True
        return self.exact.search(_marked(text, self.places)) is not None


@lru_cache(maxsize=256)
def compiled(written: str) -> Expression:
    r"""Return an expression of Python's notation, ready to search.

    Raises ExpressionError with the place inside the expression and what to write instead: it is
    none, too long, or asks for what cannot be found in linear time.

    >>> compiled(r"(\w)\1")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    finetune.spec.values.expression_problems.ExpressionError: '(\\w)\\1' contains ...
    """
    if len(written) > MAX_EXPRESSION_CHARACTERS:
        raise problems.too_long(written, most=MAX_EXPRESSION_CHARACTERS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            tree = _parser.parse(written)
    except FutureWarning as error:  # [[:alpha:]], [a&&b]: of other notations, other letters here
        raise problems.ambiguous(written, error) from None
    except (re.error, RecursionError, OverflowError) as error:
        raise problems.not_parsed(written, error) from None
    writer = _Writer(written)
    near = writer.sequence(tree, flags=tree.state.flags, marks=(), times=1, depth=0)
    places = tuple(writer.places)
    unknown = tuple(place for place in places if not _native(place))
    if not unknown:
        return Expression(written, _re2(near, written), None, (), only_line_ends=True)
    if writer.asked > MAX_MARKS:
        raise problems.many_boundaries(written, writer.asked, most=MAX_MARKS)
    laid_out = _Writer(written).sequence(
        tree, flags=tree.state.flags, marks=places, times=1, depth=0
    )
    return Expression(
        written,
        _re2(near, written),
        _re2(laid_out, written),
        places,
        only_line_ends=set(unknown) == {"$"},
    )


def checked(written: str) -> str:
    """Return an expression that can be used; raises as `compiled`."""
    compiled(written)
    return written


@dataclass(slots=True)
class _Writer:
    """Writes a parsed expression for RE2, and counts what needs marks."""

    written: str
    places: dict[str, None] = field(default_factory=dict)
    """Expressions that find the places it asks for, in order."""
    asked: int = 0
    """Number of word boundaries and last line ends, repeats counted."""

    def sequence(
        self, tree: Iterable[Any], *, flags: int, marks: Sequence[str], times: int, depth: int
    ) -> str:
        """Return a parsed sequence in RE2's notation.

        `marks`: kinds of places that are marked in the text, none for a text as it is; `times`: how
        often an enclosing repeat writes it.
        """
        if depth > MAX_DEPTH:
            raise problems.too_deep(self.written, most=MAX_DEPTH)
        how: dict[str, Any] = {"flags": flags, "marks": marks, "times": times, "depth": depth + 1}
        return "".join(self._part(str(code), value, **how) for code, value in tree)

    def _part(
        self, code: str, value: Any, *, flags: int, marks: Sequence[str], times: int, depth: int
    ) -> str:
        if code in problems.REFUSED:
            raise problems.refused(self.written, code)
        how: dict[str, Any] = {"marks": marks, "depth": depth}
        if code == "BRANCH":
            parts = (self.sequence(one, flags=flags, times=times, **how) for one in value[1])
            return f"(?:{'|'.join(parts)})"
        if code == "SUBPATTERN":
            _, added, removed, inner = value
            if added & (re.ASCII | re.UNICODE):
                flags &= ~(re.ASCII | re.UNICODE)
            flags = (flags | added) & ~removed
            return f"(?:{self.sequence(inner, flags=flags, times=times, **how)})"
        if code in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, inner = value
            endless = most == _codes.MAXREPEAT
            if max(least, 0 if endless else most) > MAX_REPEAT:
                raise problems.too_large(self.written, repeats=MAX_REPEAT)
            copies = least + 1 if endless else most
            body = self.sequence(inner, flags=flags, times=times * max(1, copies), **how)
            return f"(?:{body}){{{least},{'' if endless else most}}}"
        if code == "AT":
            return self._place(str(value), flags=flags, marks=marks, times=times)
        return _before_a_letter(marks) + _class(_characters(code, value, flags), marked=bool(marks))

    def _place(self, code: str, *, flags: int, marks: Sequence[str], times: int) -> str:
        if flags & re.MULTILINE and code in ("AT_BEGINNING", "AT_END"):
            code += "_LINE"
        finds, native = _PLACES[code]
        if code in ("AT_BOUNDARY", "AT_NON_BOUNDARY") and flags & re.ASCII:
            finds = f"(?a:{finds})"
        self.places[finds] = None
        self.asked += times
        if marks:
            bit = 1 << list(marks).index(finds)
            return _class(_ranges(m + _FIRST_MARK for m in range(256) if m & bit), marked=False)
        return "(?m:$)" if code == "AT_END" else native


def _characters(code: str, value: Any, flags: int) -> tuple[tuple[int, int], ...]:
    """Return the characters that a part for one of them matches, as ranges."""
    if code == "FAILURE":
        return ()
    if code == "ANY":
        line_end = ord("\n")
        return ((0, _LAST),) if flags & re.DOTALL else ((0, line_end - 1), (line_end + 1, _LAST))
    if code == "LITERAL":
        return _class_members((("LITERAL", value),), flags & _TEXT_FLAGS)
    if code == "NOT_LITERAL":
        return _complement(_class_members((("LITERAL", value),), flags & _TEXT_FLAGS))
    if code != "IN":
        raise problems.unknown_part(code)
    items = tuple((str(kind), what) for kind, what in value if str(kind) != "NEGATE")
    found = _class_members(items, flags & _TEXT_FLAGS)
    return _complement(found) if len(items) < len(value) else found


@lru_cache(maxsize=1024)
def _class_members(items: tuple[tuple[str, Any], ...], flags: int) -> tuple[tuple[int, int], ...]:
    """Return what a set of characters holds, as Python has it under these flags."""
    found: list[tuple[int, int]] = []
    for kind, what in items:
        if kind == "CATEGORY":
            found += _category(str(what), flags & re.ASCII)
        else:
            found.append(what if kind == "RANGE" else (what, what))
    if flags & re.IGNORECASE:
        inside = "".join(_written(*item) for item in items)
        same = re.compile(f"[{inside}]", flags)
        found += ((ord(c), ord(c)) for c in _with_case() if same.match(c))
    return _joined(found)


def _written(kind: str, what: Any) -> str:
    if kind == "CATEGORY":
        return _CATEGORIES[str(what)]
    first, last = what if kind == "RANGE" else (what, what)
    return f"\\U{first:08x}-\\U{last:08x}"


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}


@lru_cache(maxsize=16)
def _category(name: str, ascii_only: int) -> tuple[tuple[int, int], ...]:
    """Return the characters of a category, asked from Python one by one: 0.1 s of CPU."""
    if name.startswith("CATEGORY_NOT_"):
        return _complement(_category(name.replace("NOT_", ""), ascii_only))
    last = _LAST_SPACE if name == "CATEGORY_SPACE" else _LAST
    codes = array("I", range(last + 1))
    order = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"
    everything = codes.tobytes().decode(order, "surrogatepass")
    runs = re.finditer(f"{_CATEGORIES[name]}+", everything, ascii_only)
    return tuple((run.start(), run.end() - 1) for run in runs)


@lru_cache(maxsize=1)
def _with_case() -> str:
    """Return every character that another one may stand for where case does not count."""
    cased = {c for c in map(chr, range(_LAST_WITH_CASE + 1)) if c.lower() != c or c.upper() != c}
    return "".join(sorted(cased | {x for c in cased for x in c.lower() + c.upper()}))


def _joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return ranges in order, those that overlap or touch made one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def _ranges(codes: Iterable[int]) -> tuple[tuple[int, int], ...]:
    return _joined((code, code) for code in codes)


def _complement(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    ends = [(-1, -1), *ranges, (_LAST + 1, _LAST + 1)]
    gaps = ((before[1] + 1, after[0] - 1) for before, after in pairwise(ends))
    return tuple((first, last) for first, last in gaps if first <= last)


def _class(ranges: Sequence[tuple[int, int]], *, marked: bool) -> str:
    """Return a set of characters for RE2, without halves of characters and, if marked, marks."""
    left_out = [(0xD800, 0xDFFF)]
    if marked:
        left_out.append((_FIRST_MARK, _FIRST_MARK + 255))
    ranges = _complement(_joined([*_complement(ranges), *left_out]))
    if not ranges:
        return rf"[^\x00-\x{{{_LAST:x}}}]"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return rf"\x{{{ranges[0][0]:x}}}"
    return "[" + "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in ranges) + "]"


def _before_a_letter(marks: Sequence[str]) -> str:
    """Return what passes over the marks before a letter."""
    return rf"[\x{{{_FIRST_MARK:x}}}-\x{{{_FIRST_MARK + 255:x}}}]*" if marks else ""


def _native(place: str) -> bool:
    return any(finds == place and native for finds, native in _PLACES.values())


def _marked(text: str, places: Sequence[str]) -> str:
    """Return a text with a mark at every place of a kind, as often as it may be asked for."""
    text = _MARKS.sub(_STAND_IN, text)
    bits: dict[int, int] = {}
    for number, place in enumerate(places):
        for found in re.finditer(place, text):
            bits[found.start()] = bits.get(found.start(), 0) | 1 << number
    parts, end = [], 0
    for at in sorted(bits):
        parts += [text[end:at], chr(_FIRST_MARK + bits[at]) * MAX_MARKS]
        end = at
    return "".join([*parts, text[end:]])


def _re2(expression: str, written: str) -> Any:
    options = re2.Options()
    options.max_mem = MAX_PROGRAM_BYTES
    options.log_errors = False
    options.never_capture = True
    try:
        ready = re2.compile(expression, options=options)
        steps = ready.programsize
    except re2.error:
        steps = MAX_PROGRAM_STEPS + 1
    if steps > MAX_PROGRAM_STEPS:
        raise problems.too_large(written)
    return ready
