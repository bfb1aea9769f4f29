"""Integers in user input and in output of other programs."""

from __future__ import annotations

MAX_DIGITS = 18


def whole_number(text: str) -> int | None:
    """Return a number of 1 to 18 digits 0 to 9, or None for any other text.

    `str.isdigit` also holds for superscripts and `int` for digits of every script, and thousands
    of digits are an error of their own.

    >>> whole_number("12"), whole_number("²"), whole_number("9" * 5000), whole_number("-1")
    (12, None, None, None)
    """
    if not 0 < len(text) <= MAX_DIGITS or not (text.isascii() and text.isdecimal()):
        return None
    return int(text)
