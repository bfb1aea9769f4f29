"""What can be said of a line without any model: its letters, and the script they are in."""

from __future__ import annotations

import re
from collections import Counter

from finetune.spec.script import fits, scripts_in

MARKUP = re.compile(r"\{[^{}]*\}|<[^<>]*>|https?://\S+|[^\s@]{1,64}@\S+")
"""Placeholders, tags and addresses, which are Latin in texts of every script. What stands before an
`@` is bounded (RFC 5321: 64), or a long text without spaces would take its length squared."""


def plain(line: str) -> str:
    """Return a line without markup, on one line, with single spaces.

    >>> plain("Ina  kwana {name}? <b>Lafiya</b>")
    'Ina kwana ? Lafiya'
    """
    return " ".join(MARKUP.sub(" ", line).split())


def main_script(letters: Counter[str]) -> str | None:
    """Return the script of most letters, or None where there are none; ties by the code."""
    return min(letters, key=lambda script: (-letters[script], script)) if letters else None


def other_script(line: str, *, script: str) -> str | None:
    """Return the script that most letters of a line are in, if it is not the one claimed.

    >>> other_script("Good morning", script="Deva"), other_script("नमस्ते a", script="Deva")
    ('Latn', None)
    """
    letters = scripts_in(line)
    found = main_script(letters)
    if found is None or fits(script, found):
        return None
    ours = sum(number for one, number in letters.items() if fits(script, one))
    # a writing system of several scripts may hold the majority together
    return found if ours < letters.total() - ours else None


def count_letters(line: str) -> int:
    """Return the number of letters; marks, digits and signs are none."""
    return sum(scripts_in(line).values())
