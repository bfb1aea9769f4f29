"""Repetition within a text, and repeated lines at the edges of many texts.

Rae et al. (2021, "Scaling Language Models", table A1) drop web pages in which duplicate
5-grams cover more than 15 % of the characters. That is made for English pages: it would drop five
of the 532 translations of the Universal Declaration of Human Rights (the highest has 25 %), and
every song with a refrain. So the share is a setting here, half of the text by default.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

MIN_WORDS = 50
"""Below it n-grams say little, and reduplication is grammar (Rae et al. 2021 demand as many)."""
GRAM_WORDS = 5
REPEATED_CHARACTERS = 4
"""Of the n-grams by which the repetition of a model's outputs is measured."""
MIN_CHARACTERS = 400
"""Below it a compressor has not begun to win."""
MAX_COMPRESSION = 10.0
"""The declaration, whole, becomes 3.7 times smaller in the middle and 5.6 times at most; for
scripts without spaces, where there are no n-grams of words."""
UNSPACED_CHARACTERS = 20
"""Characters a word from which on a text is taken as written without spaces."""
MIN_RUN = 30
FEW_CHARACTERS = 3
_RUN = re.compile(r"(\S)\1{29,}")
EDGE_LINES = 3
"""Number of lines compared at each end; lines in the middle are not counted."""
MAX_LINES = 1_000_000
"""Distinct lines that are remembered, about 100 bytes each; later new ones are not counted."""


def is_repetition(text: str, *, max_share: float) -> bool:
    """Return whether a text is mostly the same again; 1.0 for `max_share` means never.

    >>> is_repetition("ndank-ndank", max_share=0.5), is_repetition("ha" * 40, max_share=0.5)
    (False, True)
    """
    if max_share >= 1 or len(text) < MIN_RUN:
        return False
    if len(set(text)) <= FEW_CHARACTERS or _covered_by_runs(text) > max_share:
        return True
    words = text.split()
    if len(words) >= MIN_WORDS and duplicate_share(words) > max_share:
        return True
    # compressing is slow, and texts of words were looked at by their n-grams
    has_words = len(words) >= MIN_WORDS and len(text) < UNSPACED_CHARACTERS * len(words)
    return len(text) >= MIN_CHARACTERS and not has_words and compression(text) > MAX_COMPRESSION


def duplicate_share(words: Sequence[str], size: int = GRAM_WORDS) -> float:
    """Return the share of characters in n-grams that stood there before; none counts twice.

    >>> duplicate_share("a b c d e a b c d e".split())
    0.5
    """
    seen: set[tuple[str, ...]] = set()
    covered, reached = 0, 0
    for at, gram in enumerate(zip(*(words[at:] for at in range(size)), strict=False)):
        if gram in seen:
            start = max(at, reached)
            covered += sum(map(len, words[start : at + size]))
            reached = at + size
        else:
            seen.add(gram)
    return covered / max(1, sum(map(len, words)))


def repeated_grams(text: str, size: int = REPEATED_CHARACTERS) -> tuple[int, int]:
    """Return how many n-grams of characters stood there before, and how many there are.

    White space and case do not count, so that scripts without spaces compare.

    >>> repeated_grams("koyi koyi koyi"), repeated_grams("Na gode"), repeated_grams("")
    ((5, 9), (0, 3), (0, 0))
    """
    bare = "".join(text.casefold().split())
    grams = [bare[at : at + size] for at in range(len(bare) - size + 1)]
    return len(grams) - len(set(grams)), len(grams)


def compression(text: str) -> float:
    """Return how many times smaller a text becomes by DEFLATE; with two bytes a character, so that
    scripts compare."""
    data = text.encode("utf-16-le", "surrogatepass")
    return len(data) / len(zlib.compress(data, 1))


def _covered_by_runs(text: str) -> float:
    return sum(len(run[0]) for run in _RUN.finditer(text)) / len(text)


@dataclass(slots=True)
class RepeatedLines:
    """Counts the first and last lines of the texts of a card as they come: page headers, menus.

    The first `limit` texts with a line keep it, so that nothing is lost altogether.
    """

    limit: int
    times: dict[int, int] = field(default_factory=dict)

    def without(self, text: str) -> str:
        """Return a text without such lines at its ends, and count those that it has."""
        if not self.limit or "\n" not in text:
            return text
        lines = text.split("\n")
        edges = {
            *range(min(EDGE_LINES, len(lines))),
            *range(max(0, len(lines) - EDGE_LINES), len(lines)),
        }
        seen = {at: key for at in edges if (key := self._key(lines[at])) is not None}
        often = {at for at, key in seen.items() if self.times.get(key, 0) >= self.limit}
        for key in set(seen.values()):
            if key in self.times or len(self.times) < MAX_LINES:
                self.times[key] = self.times.get(key, 0) + 1
        if not often:
            return text
        return "\n".join(line for at, line in enumerate(lines) if at not in often).strip()

    @staticmethod
    def _key(line: str) -> int | None:
        """Return a number for a line, the same whatever page number it has."""
        bare = "".join(c for c in line.casefold() if not c.isdigit()).strip()
        if not bare:
            return None
        return int.from_bytes(hashlib.blake2b(bare.encode(), digest_size=8).digest(), "little")
