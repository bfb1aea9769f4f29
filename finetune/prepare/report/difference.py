"""Differences between two versions of a text, with invisible characters made visible."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

CONTEXT_CHARACTERS = 60
"""Unchanged text shown before and after a change; the rest between two changes is omitted."""
MAX_CHARACTERS = 2000
"""Of a longer text only the part around its first change is compared: the method is quadratic."""
ELLIPSIS = "…"

Kind = Literal["same", "removed", "added"]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a text that both versions share, or that only one of them has."""

    kind: Kind
    text: str


def difference(before: str, after: str) -> tuple[Part, ...]:
    r"""Return the parts of two versions of a text in order, with long unchanged parts shortened.

    Letters are compared with the marks that stand on them, so that a mark is never shown alone.
    In changed parts, invisible characters are written as code points.

    >>> [(p.kind, p.text) for p in difference("a\u200bb", "ab")]
    [('same', 'a'), ('removed', '[U+200B]'), ('same', 'b')]
    """
    cut_before, cut_after = _around_first_change(before, after)
    old, new = _clusters(cut_before), _clusters(cut_after)
    parts: list[Part] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            parts.append(Part("same", "".join(old[i1:i2])))
            continue
        if i2 > i1:
            parts.append(Part("removed", visible("".join(old[i1:i2]))))
        if j2 > j1:
            parts.append(Part("added", visible("".join(new[j1:j2]))))
    last = len(parts) - 1
    return tuple(
        Part("same", _shortened(part.text, first=place == 0, last=place == last))
        if part.kind == "same"
        else part
        for place, part in enumerate(parts)
    )


def visible(text: str) -> str:
    r"""Return a text whose invisible characters are written as their code points.

    A space at the border of a change is shown as an open box, for it is easily missed.

    >>> visible("a\u00ad\r b"), visible(" ")
    ('a[U+00AD][U+000D] b', '␣')
    """
    spelled = "".join(character if _is_seen(character) else _named(character) for character in text)
    inner = spelled.strip(" ")
    lead = len(spelled) - len(spelled.lstrip(" "))
    trail = len(spelled) - len(inner) - lead if inner else 0
    return "␣" * lead + inner + "␣" * trail


def _is_seen(character: str) -> bool:
    category = unicodedata.category(character)
    return character in " \n" or category[0] not in "CZ"


def _named(character: str) -> str:
    return f"[U+{ord(character):04X}]"


def _clusters(text: str) -> list[str]:
    """Return the characters, each with the marks that follow it."""
    clusters: list[str] = []
    for character in text:
        if clusters and unicodedata.category(character)[0] == "M":
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def _around_first_change(before: str, after: str) -> tuple[str, str]:
    if max(len(before), len(after)) <= MAX_CHARACTERS:
        return before, after
    start = next(
        (at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    start = max(0, start - CONTEXT_CHARACTERS)
    return before[start : start + MAX_CHARACTERS], after[start : start + MAX_CHARACTERS]


def _shortened(text: str, *, first: bool, last: bool) -> str:
    """Return an unchanged part without its far middle (or far end)."""
    keep_head = 0 if first and not last else CONTEXT_CHARACTERS
    keep_tail = 0 if last and not first else CONTEXT_CHARACTERS
    if first and last:
        keep_head, keep_tail = 2 * CONTEXT_CHARACTERS, 0
    if len(text) <= keep_head + keep_tail + len(ELLIPSIS):
        return text
    return text[:keep_head] + ELLIPSIS + (text[-keep_tail:] if keep_tail else "")
