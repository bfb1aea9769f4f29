"""Whether a text teaches a language: reasons to leave one out, each with its setting.

Every rule lets short good texts pass (a proverb, a button of a program); what it costs real texts
was measured on translations of the Universal Declaration and on software's texts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from finetune.spec.text_checks import TextChecks
from finetune.text.findings import PRIVATE_USE
from finetune.text.markup import is_markup, is_placeholder_text
from finetune.text.repetition import is_repetition
from finetune.text.words import is_letter

MAX_DAMAGE = 0.005
MAXPRIVATE_USE = 0.5
LONG_CHARACTERS = 80
"""From this length on the share of letters says something."""
_LOST = re.compile("[\ufffd\x80-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""Replacement characters, controls that no text has, and code points that are no characters. Not
what this Python does not know yet: it may be a letter of a script younger than it."""
_LETTERS = re.compile(r"[^\W\d_]")


def why_not(text: str, checks: TextChecks, *, needs_letters: bool = True) -> str | None:
    """Return the reason to leave a text out, or None.

    >>> why_not("Waaw", TextChecks()), why_not("12:30", TextChecks())
    (None, 'few-letters')
    """
    rules: dict[str, Callable[[], bool]] = {
        "damaged": lambda: checks.damaged == "drop" and _is_damaged(text),
        "placeholder-text": lambda: checks.placeholder_text == "drop" and is_placeholder_text(text),
        "markup": lambda: is_markup(text, max_share=checks.max_markup_share),
        "few-letters": lambda: needs_letters and _has_few_letters(text, checks.min_letter_share),
        "repetition": lambda: is_repetition(text, max_share=checks.max_repetition),
    }
    return next((reason for reason, holds in rules.items() if text and holds()), None)


def _is_damaged(text: str) -> bool:
    if text.isascii():
        return False
    lost = len(_LOST.findall(text))
    if lost > MAX_DAMAGE * len(text):
        return True
    return len(PRIVATE_USE.findall(text)) > MAXPRIVATE_USE * len("".join(text.split()))


def _has_few_letters(text: str, share: float) -> bool:
    if share <= 0:
        return False
    if len(text) < LONG_CHARACTERS:
        return not (_LETTERS.search(text) or any(map(_is_letter, text)))
    visible = "".join(text.split())
    if len(_LETTERS.findall(visible)) >= share * len(visible):
        return False  # without counting marks: nearly always so
    return sum(map(_is_letter, visible)) < share * len(visible)


def _is_letter(character: str) -> bool:
    # what Python's data does not know yet may be a letter of a new script
    return is_letter(character) or unicodedata.category(character) in ("Cn", "Co")
