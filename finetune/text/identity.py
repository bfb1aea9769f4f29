"""National identity numbers, by country, as far as their format is published.

A number without a check digit counts only in its printed format, or next to the word for it (NIN,
CNI, ...): otherwise every long number would match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module

Groups = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """A number of digits that names a person."""

    groups: tuple[Groups, ...]
    """Lengths of its groups of digits; one group is a bare number."""
    check: str = ""
    """Module of python-stdnum that verifies it, with its check digit where it has one."""
    word: str = ""
    """Regular expression of the word that has to stand before it."""
    shape: str = ""
    """Regular expression over its digits."""


DIGITS: Mapping[str, tuple[Identity, ...]] = {
    # Aadhaar: 12 digits, Verhoeff, not from 0 or 1; virtual id: 16 digits, Verhoeff (UIDAI)
    "IN": (
        Identity(((12,), (4, 4, 4)), check="stdnum.in_.aadhaar"),
        Identity(((16,), (4, 4, 4, 4)), check="stdnum.in_.vid"),
    ),
    # CNIC: 5-7-1 (NADRA); no check digit
    "PK": (Identity(((5, 7, 1),), check="stdnum.pk.cnic"),),
    # sex (1 or 2), centre, year of birth, number: 13 digits; 17 on the card of the ECOWAS. The
    # decrees (2005-787, 2016-1536) name the number and publish no check digit.
    "SN": (
        Identity(((1, 3, 4, 5),), shape=r"[12]\d{3}(?:19|20)\d{7}"),
        Identity(
            ((13,), (17,), (1, 2, 8, 5, 1)), word=r"\b(?:NIN|CNI|CEDEAO|ECOWAS)\b", shape=r"[12]\d+"
        ),
    ),
    # NIN and BVN: 11 digits (NIMC, CBN); no check digit is published
    "NG": (Identity(((11,), (4, 3, 4)), word=r"\b(?:NIN|BVN)\b"),),
    "BD": (Identity(((10,), (13,), (17,)), word=r"\bNID\b"),),
    "ZA": (Identity(((13,), (6, 4, 2, 1), (6, 4, 3)), check="stdnum.za.idnr"),),
    "FR": (Identity(((15,), (13, 2), (1, 2, 2, 2, 3, 3, 2)), check="stdnum.fr.nir"),),
    "BR": (Identity(((11,), (3, 3, 3, 2)), check="stdnum.br.cpf"),),
    "ID": (Identity(((16,),), check="stdnum.id.nik"),),
    "TR": (Identity(((11,),), check="stdnum.tr.tckimlik"),),
    "US": (Identity(((3, 2, 4),), check="stdnum.us.ssn"),),
    "LK": (Identity(((12,),), word=r"\bNIC\b"),),
}
"""Country -> numbers that are digits only."""

WITH_LETTERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    # PAN: five letters (the fourth: holder type), four digits, a letter (Income Tax Department);
    # EPIC: the voter's card, three letters and seven digits, Luhn (Election Commission)
    "IN": (
        (r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", "stdnum.in_.pan"),
        (r"[A-Z]{3}\d{7}", "stdnum.in_.epic"),
    ),
    "GH": ((r"GHA-\d{9}-\d", ""),),  # the Ghana Card, as printed (NIA)
    "KE": ((r"A\d{9}[A-Z]", "stdnum.ke.pin"),),  # the tax number of a person (KRA)
    "LK": ((r"\d{9}[VX]", ""),),  # the card before 2016
    "ES": ((r"\d{8}[A-Z]", "stdnum.es.dni"), (r"[XYZ]\d{7}[A-Z]", "stdnum.es.nie")),
}
"""Country -> (regular expression, module that verifies it) of numbers with letters."""

WORD_CHARACTERS = 24
"""Maximum distance between a number and the word before it."""


def matches(identity: Identity, digits: str, groups: Groups, *, before: str) -> bool:
    """Return whether digits written in groups are such a number; `before` is what stands before."""
    if groups not in identity.groups:
        return False
    if identity.shape and not re.fullmatch(identity.shape, digits):
        return False
    if identity.word and not re.search(identity.word, before[-WORD_CHARACTERS:]):
        return False
    return not identity.check or verified(identity.check, digits)


def verified(module: str, number: str) -> bool:
    """Return whether python-stdnum finds a number valid.

    >>> verified("stdnum.luhn", "18"), verified("stdnum.luhn", "19")
    (True, False)
    """
    check: Callable[[str], bool] = import_module(module).is_valid
    return bool(check(number))


def with_letters(text: str, region: str) -> Iterator[tuple[int, int]]:
    """Yield where numbers with letters of a country stand.

    >>> list(with_letters("GHA-000000000-1 a", "GH"))
    [(0, 15)]
    """
    for pattern, module in WITH_LETTERS.get(region, ()):
        for found in re.finditer(rf"(?<![\w-]){pattern}(?![\w-])", text):
            if not module or verified(module, found[0]):
                yield found.span()
