"""Letters and script of a line, without any model."""

from __future__ import annotations

import re
from collections import Counter

from finetune.spec.script import fits, scripts_in
from finetune.text.borrowed import without_markup

LEAST_LETTERS = 4
_WORD = re.compile(r"[^\W\d_][\w'’ʼ-]*")


def plain(line: str) -> str:
    """Return a line without markup, on one line, with single spaces.

    >>> plain("Ina  kwana {name}? <b>Lafiya</b>")
    'Ina kwana ? Lafiya'
    """
    return " ".join(without_markup(line).split())


def main_script(letters: Counter[str]) -> str | None:
    """Return the script of most letters, or None where there are none; ties by the code."""
    return min(letters, key=lambda script: (-letters[script], script)) if letters else None


def other_script(letters: Counter[str], *, script: str) -> str | None:
    """Return the script that most letters are in, if it is not the declared one.

    Fewer than four letters decide nothing.

    >>> from finetune.text.borrowed import letters_of
    >>> other_script(letters_of("Good morning", script="Deva"), script="Deva")
    'Latn'
    >>> other_script(letters_of("नमस्ते a", script="Deva"), script="Deva") is None
    True
    """
    found = main_script(letters)
    if found is None or fits(script, found) or letters.total() < LEAST_LETTERS:
        return None
    ours = sum(number for one, number in letters.items() if fits(script, one))
    # a writing system of several scripts may hold the majority together
    return found if ours < letters.total() - ours else None


def ordinary_letters(line: str) -> int:
    """Return the number of letters in words that are no names.

    A capital inside a line begins a name or a title, which is the same in many languages.

    >>> ordinary_letters("Agenda Wizard"), ordinary_letters("the East African Command.")
    (6, 3)
    """
    words = _WORD.findall(line)
    return sum(count_letters(word) for word in words[:1]) + sum(
        count_letters(word) for word in words[1:] if not word[0].isupper()
    )


def count_letters(line: str) -> int:
    """Return the number of letters; marks, digits and signs are none."""
    return sum(scripts_in(line).values())
