"""How long texts are, counted in a few classes that a picture can show."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000)
"""Where classes begin, in characters (code points)."""


def class_of(characters: int) -> int:
    """Return the class of a length; an empty text falls into the first.

    >>> [BOUNDS[class_of(n)] for n in (0, 1, 4, 5, 7_000_000)]
    [1, 1, 2, 5, 1000000]
    """
    return max(0, bisect.bisect_right(BOUNDS, characters) - 1)


@dataclass(slots=True)
class Lengths:
    """Texts by language and class of length; memory does not grow with their number."""

    counts: Counter[tuple[str, int]] = field(default_factory=Counter)

    def add(self, language: str, text: str) -> None:
        """Count one text."""
        self.counts[language, class_of(len(text))] += 1


def histograms(kept: Lengths, left_out: Lengths) -> dict[str, list[dict[str, Any]]]:
    """Return for each language its classes from the shortest to the longest that occurs.

    A class is `from` (characters), `kept` and `left_out` (texts).
    """
    languages = sorted({language for language, _ in (*kept.counts, *left_out.counts)})
    return {language: _classes(language, kept.counts, left_out.counts) for language in languages}


def _classes(
    language: str, kept: Mapping[tuple[str, int], int], left_out: Mapping[tuple[str, int], int]
) -> list[dict[str, Any]]:
    found = [place for counts in (kept, left_out) for name, place in counts if name == language]
    return [
        {
            "from": BOUNDS[place],
            "kept": kept.get((language, place), 0),
            "left_out": left_out.get((language, place), 0),
        }
        for place in range(min(found), max(found) + 1)
    ]
