"""Numbers in a text that name a person or an account: telephones, identity cards, banks.

Digits of every script are digits. A run of digits and separators is looked at as groups, and a
number is one only as it is written where it is used, or where its check digit and its beginning
say so: verses, dates, prices, versions and ISBNs are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from finetune.text.identity import DIGITS, Groups, matches, verified
from finetune.text.telephone import MIN_DIGITS, is_named, is_telephone

_SEPARATORS = " \t\u00a0\u2007\u2009\u202f().\u2010\u2011\u2012\u2013/-"
_RUN = re.compile(
    rf"(?<![A-Za-z0-9_@#$\u20ac\u00a3\u20b9%])(?<!\d)(?<!\d[.,:])[+\uff0b(]{{0,2}}"
    rf"\d(?:[{_SEPARATORS}]{{0,3}}\d){{6,40}}(?![A-Za-z0-9_%\u20ac])(?!\d)(?![.,:]\d)"
)
"""Seven to 41 digits with at most three separators between two of them."""
_GROUP = re.compile(r"\d+")
_IBAN = re.compile(
    r"(?<![\w])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?!\w)",
    re.ASCII | re.IGNORECASE,
)
_UNREGISTERED: Mapping[str, int] = {
    **dict.fromkeys(("BF", "BJ", "CI", "ML", "NE", "SN", "TG", "MA"), 28),
    **dict.fromkeys(("CF", "CG", "CM", "GA", "GQ", "KM", "MG", "TD"), 27),
    **dict.fromkeys(("DZ", "IR"), 26),
    **dict.fromkeys(("AO", "CV", "GW", "MZ"), 25),
}
"""Characters of the account numbers of countries that use IBANs and are not in the registry of
SWIFT (WAEMU, CEMAC and others), as their central banks give them."""
_CARD_GROUPS: frozenset[Groups] = frozenset(
    [(13,), (14,), (15,), (16,), (19,), (4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3)]
)
_CARD_BEGINNINGS = re.compile(
    r"4|5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|3[47]|3[068]|35|6011|64[4-9]|65|60|62|81|82|508"
    r"|50[01]|50[2-9]|5[6-9]|6[37]"
)
"""Issuers (ISO/IEC 7812): Visa, Mastercard, American Express, Diners, JCB, Discover, UnionPay,
RuPay, Maestro, Verve."""
_MAX_GROUPS = 8
MAX_CARD_DIGITS = 19
"""ISO/IEC 7812."""
_AROUND_CHARACTERS = 32
_JOINING = frozenset(".-\u2010\u2011")
"""Between groups of one number; a space or a slash may also part two numbers."""
_YEAR = re.compile(r"1\d{3}|20\d\d|21\d\d")
_MONTH_DAY = re.compile(r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_ADDRESS = re.compile(r"(?:https?|ftp|file)://\S+|\bwww\.\S+", re.IGNORECASE)
_IN_PATH = re.compile(r"[^\W\d][/\\]\Z")
_AFTER_SLASH = re.compile(r"[/\\][^\s/\\]*\Z")
_FILE_ENDING = re.compile(r"\.[a-z][a-z0-9]{1,4}(?!\w)")
_COUNTING = "01234567890123456789"
"""Digits in order fill a form; they call no person."""
_ISBN = re.compile(r"ISBN|ISSN|EAN|DOI|PMID|№|No\.?\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Number:
    """Span of a number of a kind."""

    kind: str
    start: int
    end: int


def numbers(text: str, regions: Sequence[str]) -> Iterator[Number]:
    """Yield the numbers of people in a text, from left to right; `regions` are countries.

    >>> [n.kind for n in numbers("+221 33 889 00 00; 1 234 567; 2024-05-06", ["SN"])]
    ['phone']
    """
    addresses = [one.span() for one in _ADDRESS.finditer(text)] if _has_address(text) else []
    for run in _RUN.finditer(text):
        is_id = any(start < run.start() < end for start, end in addresses) and run[0][0] != "+"
        if not is_id:
            yield from _in_run(text, run, regions)


def _has_address(text: str) -> bool:
    return "://" in text or "www." in text.lower()


def bank_accounts(text: str) -> Iterator[Number]:
    """Yield the IBANs of a text: country, length and modulus 97 (ISO 13616)."""
    for found in _IBAN.finditer(text):
        end = found.end()
        while end - found.start() >= 15:
            written = text[found.start() : end]
            if _is_account(written):
                yield Number("bank_account", found.start(), end)
                break
            # the words after a number may look like a part of it
            end = max(written.rfind(" "), 0) + found.start()


def _is_account(written: str) -> bool:
    plain = re.sub(r"[ -]", "", written).upper()
    if len(plain) == _UNREGISTERED.get(plain[:2]):
        return verified("stdnum.iso7064.mod_97_10", plain[4:] + plain[:4])
    return verified("stdnum.iban", plain)


@dataclass(frozen=True, slots=True)
class _Window:
    """Some groups of a run that stand together."""

    digits: str
    groups: Groups
    start: int
    end: int
    written: str
    before: str
    after: str


def _in_run(text: str, run: re.Match[str], regions: Sequence[str]) -> Iterator[Number]:
    """Look at every stretch of groups, the longest first; one number may stand beside another."""
    spans = [(run.start() + g.start(), run.start() + g.end()) for g in _GROUP.finditer(run[0])]
    if _is_quantity(run[0], spans) and not is_named(
        text[max(0, run.start() - _AROUND_CHARACTERS) : run.start()]
    ):
        return
    place = taken = 0
    while place < len(spans):
        if place > taken and _size(spans[place]) == _size(spans[place - 1]):
            place += 1  # in a list of numbers
            continue
        for end in range(min(len(spans), place + _MAX_GROUPS), place, -1):
            if not _is_length(sum(map(_size, spans[place:end])), groups=end - place):
                continue
            window = _window(text, spans[place:end])
            kind = _kind(window, regions) if window else None
            if window and kind:
                yield Number(kind, window.start, window.end)
                place = taken = end
                break
        else:
            place += 1


def _is_length(digits: int, *, groups: int) -> bool:
    """Return whether any number of a person has so many digits in so many groups."""
    return MIN_DIGITS <= digits <= MAX_CARD_DIGITS and 5 * digits >= 9 * groups


def _is_quantity(written: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Return whether a run is one quantity, with its digits grouped by thousands."""
    first, *others = map(_size, spans)
    return bool(others) and first <= 3 and set(others) == {3} and written[0] not in "+\uff0b(0"


def _size(span: tuple[int, int]) -> int:
    return span[1] - span[0]


def _window(text: str, spans: Sequence[tuple[int, int]]) -> _Window | None:
    """Return the groups at these places, or None if they are part of something longer."""
    start, end = spans[0][0], spans[-1][1]
    digits = [_ascii(text[first:last]) for first, last in spans]
    longer = (start > 1 and text[start - 1] in _JOINING and text[start - 2].isdigit()) or (
        text[end : end + 1] in _JOINING and text[end + 1 : end + 2].isdigit()
    )
    if longer:
        return None
    while start and text[start - 1] in "+\uff0b(":
        start -= 1
    return _Window(
        digits="".join(digits),
        groups=tuple(map(len, digits)),
        start=start,
        end=end,
        written=text[start:end],
        before=text[max(0, start - _AROUND_CHARACTERS) : start],
        after=text[end : end + _AROUND_CHARACTERS],
    )


def _ascii(digits: str) -> str:
    return digits if digits.isascii() else "".join(str(int(digit)) for digit in digits)


def _kind(window: _Window, regions: Sequence[str]) -> str | None:
    digits, groups = window.digits, window.groups
    is_filler = not digits.strip("0") or digits in _COUNTING
    if is_filler or _is_path(window) or _is_date(window) or _is_book(window):
        return None
    if window.written[0] in "+\uff0b":
        return "phone" if is_telephone(window.written, digits, groups, regions=()) else None
    if (
        groups in _CARD_GROUPS
        and _CARD_BEGINNINGS.match(digits)
        and verified("stdnum.luhn", digits)
    ):
        return "payment_card"
    for region in regions:
        for identity in DIGITS.get(region, ()):
            if matches(identity, digits, groups, before=window.before):
                return "national_id"
    around = (window.before, window.after)
    if is_telephone(window.written, digits, groups, regions=regions, around=around):
        return "phone"
    return None


def _is_path(window: _Window) -> bool:
    """Return whether a window is part of the path of a file: `shared/02/01140000.xhp`."""
    if is_named(window.before):
        return False
    if "/" in window.written and _IN_PATH.search(window.before):
        return True
    return bool(_AFTER_SLASH.search(window.before) and _FILE_ENDING.match(window.after))


def _is_date(window: _Window) -> bool:
    """Return whether a window is a date, a span of years, or a time stamp in one group."""
    digits, groups = window.digits, window.groups
    if groups in ((4, 4), (4, 2, 2), (4, 2, 2, 2, 2), (4, 2, 2, 2, 2, 2)) or len(groups) == 1:
        year_first = _YEAR.match(digits) is not None
        return year_first and (groups == (4, 4) or _MONTH_DAY.match(digits[4:]) is not None)
    if groups in ((2, 2, 4), (1, 2, 4), (2, 1, 4), (1, 1, 4)):
        return _YEAR.match(digits[-4:]) is not None
    return False


def _is_book(window: _Window) -> bool:
    if _ISBN.search(window.before):
        return True
    # its parts: prefix, group, publisher, title, check digit; 06-12-34-56-78 is a telephone
    parts = {10: 4, 13: 5}.get(len(window.digits))
    hyphens = re.fullmatch(r"[\d\u2010-\u2012-]+", window.written) is not None
    in_parts = hyphens and len(window.groups) == parts and window.groups[-1] == 1
    return in_parts and verified("stdnum.isbn", window.digits)
