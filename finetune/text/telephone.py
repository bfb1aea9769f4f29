"""Telephone numbers as people of a country write them (the `phonenumbers` library's metadata)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

MIN_DIGITS = 7
MAX_DIGITS = 15
"""ITU-T E.164."""
LONG_ENOUGH = 8
"""Shorter national numbers are like any number, unless a word names them."""

_WORD = re.compile(
    r"(?:\bt[eé]l(?:[eé]phone|\.|\b)|\bphone|\bmob(?:ile|\.|\b)|\bgsm\b|\bfax\b|\bwhats?app\b|\bsms\b"
    r"|\bcall\b|\bcontact\b|\bappel(?:ez|er|le)?\b|[\u260e\u260f\u2706\U0001f4de\U0001f4f1\U0001f4f2])[^\d\n]{0,12}\Z",
    re.IGNORECASE,
)
_MONEY_BEFORE = re.compile(r"(?:Rs\.?|INR|PKR|BDT|NGN|KSh|TSh|USh|GHS|ZAR|XOF|XAF|EUR|USD)\s?\Z")
_MONEY_AFTER = re.compile(
    r"\s?(?:F\b|FCFA|F\s?CFA|CFA|XOF|EUR|USD|INR|NGN|euros?\b|km\b|kg\b|\u20ac|\$)"
)


def is_telephone(
    written: str,
    digits: str,
    groups: tuple[int, ...],
    *,
    regions: Sequence[str],
    around: tuple[str, str] = ("", ""),
) -> bool:
    """Return whether digits, written in groups, are a telephone number of one of the countries.

    `around`: the text before and after. With a plus sign the country is known. Without one, a
    number counts if it is written in the groups of its country, or if it is a mobile number that
    all its groups have several digits.
    """
    if not MIN_DIGITS <= len(digits) <= MAX_DIGITS:
        return False
    if written.lstrip("(")[:1] in ("+", "\uff0b"):
        return _is_valid(f"+{digits}", "")
    before, after = around
    if _MONEY_BEFORE.search(before) or _MONEY_AFTER.match(after):
        return False
    named = is_named(before)
    if digits.startswith("00") and len(digits) > 10 and _is_valid(f"+{digits[2:]}", ""):
        return True
    return any(_is_national(written, digits, groups, region, named=named) for region in regions)


def is_named(before: str) -> bool:
    """Return whether the text before a number names it as one to call.

    >>> is_named("Tél/"), is_named("shared/")
    (True, False)
    """
    return _WORD.search(before) is not None


def _is_national(
    written: str, digits: str, groups: tuple[int, ...], region: str, *, named: bool
) -> bool:
    if len(digits) < LONG_ENOUGH and not named:
        return False
    facts = _facts(digits, region)
    if facts is None:
        return False
    mobile, usual, prefixed = facts
    if named:
        return True
    # one model or another: 68881/68882
    are_several = "/" in written and digits[0] != "0" and max(groups) > 3
    if not are_several and groups in usual and len(groups) > 1:
        return True
    if not are_several and prefixed and len(groups) in (2, 3) and "." not in written:
        return True
    is_plain = not set(written) & set("./,")
    return is_plain and mobile and (len(groups) == 1 or min(groups) > 1)


def _is_valid(number: str, region: str) -> bool:
    import phonenumbers

    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(number, region or None)))
    except phonenumbers.NumberParseException:
        return False


@lru_cache(maxsize=65536)
def _facts(digits: str, region: str) -> tuple[bool, frozenset[tuple[int, ...]], bool] | None:
    """Return whether a number is a mobile one, in which groups it is written, and whether it begins
    with the trunk prefix; None if it is no number of the country."""
    import phonenumbers
    from phonenumbers import PhoneNumberFormat, PhoneNumberType

    if not _forms(region).fullmatch(digits):  # quick to see, and nearly always so
        return None
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    # also of a territory with the same country code, such as Guernsey beside the United Kingdom
    if not phonenumbers.is_valid_number(number):
        return None
    kind = phonenumbers.number_type(number)
    mobile = kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
    country = str(number.country_code)
    national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    abroad = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    usual = {_groups(national), _groups(abroad), _groups(abroad.removeprefix(f"+{country}"))}
    plain = phonenumbers.national_significant_number(number)
    return mobile, frozenset(usual), digits == f"0{plain}"


def _groups(written: str) -> tuple[int, ...]:
    return tuple(map(len, re.findall(r"\d+", written)))


@lru_cache(maxsize=512)
def _forms(region: str) -> re.Pattern[str]:
    """Return an expression for the numbers of a country, with trunk prefix or country code."""
    import phonenumbers

    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if metadata is None or metadata.general_desc is None:
        return re.compile(r"(?!)")
    plain = metadata.general_desc.national_number_pattern
    return re.compile(f"(?:{metadata.national_prefix or ''}|{metadata.country_code})?(?:{plain})")
