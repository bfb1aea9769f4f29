"""The confusion table: declared languages against identified ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from finetune.identify.identifier import ODD, Identifier, Kind, Verdict
from finetune.identify.lines import count_letters

SAMPLES = 8
SAMPLE_CHARACTERS = 300
ABSTAINED: tuple[Kind, ...] = ("unsure", "too-short", "no-letters")


@dataclass(frozen=True, slots=True)
class Judged:
    """A line of a text with its verdict."""

    line: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Sample:
    """A line that is not in its declared language."""

    card: str
    where: str
    text: str
    confidence: float | None


@dataclass(slots=True)
class Confusion:
    """Counts of lines and texts, by card and claimed language, and samples of odd lines."""

    lines: Counter[tuple[str, str, Kind]] = field(default_factory=Counter)
    """(card, claimed, kind) -> lines."""
    found: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(card, claimed, language or script) -> lines that seem to be that instead."""
    texts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(card, claimed) -> texts."""
    odd_texts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(card, claimed) -> texts of which more than the share of the recipe is odd."""
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    """(claimed, language or script found) -> the first few."""

    def add(
        self, judged: Sequence[Judged], *, card: str, claimed: str, where: str, odd: bool
    ) -> None:
        """Count a text: its lines as they were judged, and whether it is odd as a whole."""
        self.texts[card, claimed] += 1
        self.odd_texts[card, claimed] += odd
        for one in judged:
            self.lines[card, claimed, one.verdict.kind] += 1
            if one.verdict.kind in ODD:
                found = str(one.verdict.found)
                self.found[card, claimed, found] += 1
                samples = self.samples.setdefault((claimed, found), [])
                if len(samples) < SAMPLES:
                    text = one.line.strip()[:SAMPLE_CHARACTERS]
                    samples.append(Sample(card, where, text, one.verdict.confidence))

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per card and claimed language, as plain data for reports."""
        return [
            {
                "card": card,
                "claimed": claimed,
                "texts": texts,
                "odd_texts": self.odd_texts[card, claimed],
                "lines": sum(n for (c, x, _), n in self.lines.items() if (c, x) == (card, claimed)),
                "fits": self.lines[card, claimed, "fits"],
                "not_covered": self.lines[card, claimed, "not-covered"],
                "abstained": {kind: self.lines[card, claimed, kind] for kind in ABSTAINED},
                "found": {
                    found: n
                    for (c, x, found), n in sorted(
                        self.found.items(), key=lambda item: (-item[1], item[0])
                    )
                    if (c, x) == (card, claimed)
                },
            }
            for (card, claimed), texts in sorted(self.texts.items())
        ]

    def shown_samples(self) -> list[dict[str, Any]]:
        """Return the samples as plain data for reports."""
        return [
            {
                "claimed": claimed,
                "found": found,
                "samples": [
                    {
                        "card": one.card,
                        "where": one.where,
                        "text": one.text,
                        "confidence": None if one.confidence is None else round(one.confidence, 3),
                    }
                    for one in samples
                ],
            }
            for (claimed, found), samples in sorted(self.samples.items())
        ]


def judge_text(identifier: Identifier, text: str, *, claimed: str) -> list[Judged]:
    """Judge every line of a text that is not empty."""
    return [
        Judged(line, identifier.judge(line, claimed=claimed))
        for line in text.split("\n")
        if line.strip()
    ]


def odd_reason(judged: Sequence[Judged], *, share: float) -> str | None:
    """Return why a text is not in its declared language, or None.

    A text is odd if its odd lines hold more than `share` of its letters; the reason is that of
    most of these letters.
    """
    letters: Counter[str] = Counter()
    for one in judged:
        letters[one.verdict.kind] += count_letters(one.line)
    odd = {kind: letters[kind] for kind in sorted(ODD)}
    if sum(odd.values()) <= share * letters.total():
        return None
    return max(odd, key=odd.__getitem__)


def coverage_facts(identifier: Identifier, claimed: Sequence[str]) -> Mapping[str, Any]:
    """Return who is asked about each claimed language and why, as plain data for reports."""
    return {
        language: {
            "asked": [voter.model for voter in identifier.coverage[language].voters],
            "covered": identifier.coverage[language].covered,
            "by_script": identifier.coverage[language].by_script,
            "finds": sorted(
                {x for voter in identifier.coverage[language].voters for x in voter.finds}
                - {language}
            ),
            "thresholds": {v.model: v.threshold for v in identifier.coverage[language].voters},
            "reason": identifier.coverage[language].reason,
        }
        for language in claimed
    }
