"""Languages found by the names that people write."""

from __future__ import annotations

import re

from finetune.spec.language import find_languages, is_language

_BETWEEN = re.compile(r"[,;/\n]|\s(?:and|et)\s")


def codes_of(answer: str) -> list[str]:
    """Return the codes of the languages that a person names, by code or by name.

    What is unknown, or can be several languages, stays as it was typed.

    >>> codes_of("wolof, français"), codes_of("hau_Arab yo"), codes_of("wolof et hausa")
    (['wol_Latn', 'fra_Latn'], ['hau_Arab', 'yor_Latn'], ['wol_Latn', 'hausa'])
    """
    parts = [" ".join(part.split()) for part in _BETWEEN.split(answer)]
    return [code for part in parts if part for code in _codes(part)]


def _codes(part: str) -> list[str]:
    if is_language(part):
        return [part]
    found = find_languages(part)
    if found:
        return [found[0] if len(found) == 1 else part]
    words = part.split()
    return [code for word in words for code in _codes(word)] if _is_list(words) else [part]


def _is_list(words: list[str]) -> bool:
    """Return whether each of several words is a language."""
    return len(words) > 1 and all(is_language(word) or find_languages(word) for word in words)
