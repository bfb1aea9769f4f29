"""Families of prompts that begin alike, so that their common prefix is computed once.

Found by tokens: the head of a chat template, a system prompt, the examples of
a few-shot prompt, the text that several questions are about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

LEAST_SAVED = 64
"""A prefix that saves fewer tokens is not worth a forward pass of its own."""
APART_TOKENS = 1000
"""Least that a family apart must save: it has a last, slow row of its own."""
_LEVELS = 16
Prompts = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Family:
    """Prompts (by number) that share their first tokens; each has at least one more."""

    members: tuple[int, ...]
    prefix_tokens: int

    @property
    def saved_tokens(self) -> int:
        """Return how many tokens need not be computed."""
        return self.prefix_tokens * (len(self.members) - 1)


def families(prompts: Prompts) -> list[Family]:
    """Return families that hold every prompt once.

    >>> families([[7] * 100 + [n] for n in range(3)])
    [Family(members=(0, 1, 2), prefix_tokens=100)]
    >>> families([[1, 2, 3], [1, 2, 4]])
    [Family(members=(0, 1), prefix_tokens=0)]
    """
    order = sorted(range(len(prompts)), key=lambda n: (list(prompts[n]), n))
    common = [_common(prompts[a], prompts[b]) for a, b in pairwise(order)]
    return list(_divide(order, common, levels=_LEVELS)) if order else []


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many first tokens are the same, the last token of either not counted."""
    most = max(min(len(first), len(second)) - 1, 0)
    return next((n for n in range(most) if first[n] != second[n]), most)


def _divide(order: list[int], common: list[int], *, levels: int) -> Iterator[Family]:
    """Yield the pieces that save enough on their own, and the rest as one family.

    `common` holds what each prompt of `order` shares with the next.
    """
    prefix = min(common, default=0)
    cuts = [0, *(n + 1 for n, shared in enumerate(common) if shared == prefix), len(order)]
    rest: list[int] = []
    for begin, end in pairwise(cuts):
        piece, inside = order[begin:end], common[begin : end - 1]
        if levels and sum(inside) - prefix * len(piece) > APART_TOKENS:
            parts = list(_divide(piece, inside, levels=levels - 1))
            saved = sum(part.saved_tokens for part in parts) - prefix * len(piece)
            if saved > APART_TOKENS * len(parts):
                yield from parts
                continue
        rest += piece
    if rest:
        whole = Family(tuple(sorted(rest)), prefix)
        yield whole if whole.saved_tokens >= LEAST_SAVED else Family(whole.members, 0)
