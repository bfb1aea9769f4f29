"""Whole words for base tokenizers that split at vowel signs.

Most byte-level tokenizers split text by an expression in which a word is `\\p{L}+`, letters alone.
Vowel signs, viramas and combining tones are marks, so that हिन्दी falls into six pieces before any
merge is looked at, and no token can ever reach further. Here the marks and joiners of the corpus
may stand in a word behind its letters. A text in which none of them follows one of those letters
is split exactly as before.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from finetune.spec.script import scripts_of_character

JOINERS = frozenset("\u200c\u200d")
_WORD = r"\p{L}+"
_BYTE_LEVEL = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""The splitting expression of `ByteLevel` (GPT-2: Radford et al. 2019)."""


def belongs(character: str, scripts: frozenset[str]) -> bool:
    """Return whether a character may stand in a token for words of these scripts.

    Marks and modifier letters that belong to no script (tones, apostrophes) may, and joiners.

    >>> belongs("ɗ", frozenset({"Latn"})), belongs("д", frozenset({"Latn"}))
    (True, False)
    """
    found = scripts_of_character(character)
    if found:
        return bool(found & scripts)
    category = unicodedata.category(character)
    return category[0] == "M" or category == "Lm" or character in JOINERS


def marked_letters(texts: Iterable[str], scripts: frozenset[str]) -> tuple[str, str]:
    """Return what of these scripts stands before a mark or joiner, and these marks and joiners."""
    letters: set[str] = set()
    marks: set[str] = set()
    for text in texts:
        if text.isascii():
            continue
        for before, character in pairwise(text):
            if (
                (character in JOINERS or unicodedata.category(character)[0] == "M")
                and belongs(before, scripts)
                and belongs(character, scripts)
            ):
                letters.add(before)
                marks.add(character)
    return "".join(sorted(letters)), "".join(sorted(marks))


def widen(definition: str, *, letters: str, marks: str) -> str | None:
    """Return a definition in whose words marks may follow letters; None if it cuts none there."""
    if not letters:
        return None
    parts = json.loads(definition)
    word = rf"\p{{L}}(?:\p{{L}}|(?<=[{letters}])[{marks}])*"
    changed = _widened(parts.get("pre_tokenizer"), word)
    if changed is None:
        return None
    parts["pre_tokenizer"] = changed
    return json.dumps(parts, ensure_ascii=False)


def _widened(step: Any, word: str) -> Any:
    """Return a pre-tokenizer with `word` in place of letters alone, or None if it has none."""
    if not isinstance(step, dict):
        return None
    if step["type"] == "Sequence":
        steps = [_widened(inner, word) for inner in step["pretokenizers"]]
        if not any(steps):
            return None
        kept = zip(steps, step["pretokenizers"], strict=True)
        return step | {"pretokenizers": [new or old for new, old in kept]}
    pattern = step.get("pattern", {}).get("Regex", "")
    if step["type"] == "Split" and _WORD in pattern:
        return step | {"pattern": {"Regex": pattern.replace(_WORD, word)}}
    if step["type"] == "ByteLevel" and step.get("use_regex", True):
        split = {
            "type": "Split",
            "pattern": {"Regex": _BYTE_LEVEL.replace(_WORD, word)},
            "behavior": "Isolated",
            "invert": False,
        }
        return {"type": "Sequence", "pretokenizers": [split, step | {"use_regex": False}]}
    return None
