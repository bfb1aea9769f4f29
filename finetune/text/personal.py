"""Personal data in a text: detection by pattern and check digit, and masking.

A mask keeps the shape of what it hides: digits become zeros of the same script, letters X, and
addresses become those that are reserved for documentation. Such a text is still a text, in any
script; a model learns nothing but a harmless number from it, and no bracketed word of English
stands in a sentence of another language. A masked text has nothing more to mask.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from finetune.text.addresses import account_urls, emails, ip_addresses
from finetune.text.identity import WITH_LETTERS, with_letters
from finetune.text.numbers import bank_accounts, numbers

NAME_MASK = "N. N."
"""Nomen nescio: the name is not known."""
MIN_NAME_CHARACTERS = 2
_WORTH_A_LOOK = re.compile(
    r"[@\uff20]|[\[(]\s?(?i:at|arobase?)\s?[\])]|://|www\.|\b(?:t|wa)\.me/|\.com/"
    r"|\d(?:[^\w\n]{0,3}\d){6}|\d\.\d{1,3}\.\d|[A-Z]\d{4}|:[\da-fA-F]*:"
)
"""Nothing below finds anything in a text without one of these."""


@dataclass(frozen=True, slots=True)
class Found:
    """Personal data of a kind (PersonalData), where it stands, and its mask."""

    kind: str
    start: int
    end: int
    mask: str


def find(text: str, *, regions: Sequence[str], names: Iterable[str] = ()) -> list[Found]:
    """Return the personal data of a text from left to right; nothing is found twice.

    `regions`: countries whose numbers are looked for; `names`: names that the card declares.

    >>> [(f.kind, f.mask) for f in find("+221 33 889 00 01, a@b.sn", regions=["SN"])]
    [('phone', '+000 00 000 00 00'), ('email', 'name@example.org')]
    """
    found: list[Found] = []
    taken = bytearray(len(text))  # a text of nothing else would be compared with itself otherwise
    patterns = _patterns(text, regions) if _WORTH_A_LOOK.search(text) else iter(())
    for one in chain(patterns, _names(text, names)):
        if taken.find(1, one.start, one.end) < 0:
            taken[one.start : one.end] = b"\1" * (one.end - one.start)
            found.append(one)
    return sorted(found, key=lambda one: one.start)


def _patterns(text: str, regions: Sequence[str]) -> Iterator[Found]:
    """Yield what the patterns find; what comes first wins where two overlap."""
    addresses = (("account_url", account_urls), ("email", emails), ("ip_address", ip_addresses))
    for kind, look in addresses:
        yield from (Found(kind, start, end, mask) for start, end, mask in look(text))
    for number in bank_accounts(text):
        written = text[number.start : number.end]
        yield Found(number.kind, number.start, number.end, written[:2] + hidden_shape(written[2:]))
    for region in regions:
        if region in WITH_LETTERS:
            for start, end in with_letters(text, region):
                yield Found("national_id", start, end, hidden_shape(text[start:end]))
    for number in numbers(text, regions):
        written = text[number.start : number.end]
        yield Found(number.kind, number.start, number.end, hidden_shape(written))


def _names(text: str, names: Iterable[str]) -> Iterator[Found]:
    for name in sorted(set(names), key=len, reverse=True):
        if len(name) < MIN_NAME_CHARACTERS or name == NAME_MASK:
            continue
        for one in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE):
            after = text[one.end() : one.end() + 1]
            if not (after and unicodedata.category(after)[0] == "M"):
                yield Found("names", one.start(), one.end(), NAME_MASK)


def hidden_shape(written: str) -> str:
    """Return a number with zeros for digits, of the same script, and X for letters.

    >>> hidden_shape("AB12 \u0967\u0968")
    'XX00 \u0966\u0966'
    """
    return "".join(map(_hidden, written))


def _hidden(character: str) -> str:
    value = unicodedata.decimal(character, None)
    if value is not None:
        return chr(ord(character) - value)
    return "X" if character.isalpha() else character


def replaced(text: str, found: Sequence[Found], mask: Callable[[Found], str]) -> str:
    """Return a text with something in the place of what was found."""
    parts, end = [], 0
    for one in found:
        parts += [text[end : one.start], mask(one)]
        end = one.end
    return "".join([*parts, text[end:]])


def covered(text: str, found: Sequence[Found]) -> str:
    """Return a text in which what was found is blacked out, for samples of what was masked.

    >>> covered("to a@b.sn", [Found("email", 3, 9, "")])
    'to \u2588\u2588\u2588\u2588\u2588\u2588'
    """
    return replaced(text, found, lambda one: re.sub(r"\S", "\u2588", text[one.start : one.end]))
