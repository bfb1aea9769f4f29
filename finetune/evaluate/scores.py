"""Scores and comparisons as they are written into scores.json and read by release and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Score:
    """One number of one system on n items, with its 95 % interval and how it was computed."""

    metric: str
    language: str
    direction: str | None
    system: Literal["base", "adapter"]
    value: float
    low: float
    high: float
    n: int
    signature: str
    phase: str | None = None
    """Whose test texts these are, in a recipe with phases."""
    task: str | None = None
    """What was asked, if not held-out text or a translation; left out of the file otherwise."""


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Base against adapter on the same n items; `difference` is adapter minus base."""

    metric: str
    language: str
    direction: str | None
    base: float
    adapter: float
    difference: float
    low: float
    high: float
    p_value: float
    n: int
    better: Literal["adapter", "base", "neither"]
    test: str
    phase: str | None = None
    task: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Both systems' scores on the same items, and the test between them."""

    base: Score
    adapter: Score
    test: PairedTest


def as_result(pairs: list[Pair]) -> dict[str, Any]:
    """Return the JSON object of scores.json, which is also the stage's result."""
    return {
        "scores": [_fields(s) for pair in pairs for s in (pair.base, pair.adapter)],
        "comparisons": [_fields(pair.test) for pair in pairs],
    }


def _fields(record: Score | PairedTest) -> dict[str, Any]:
    return {k: v for k, v in asdict(record).items() if (k, v) != ("task", None)}


def pairs_of(result: Mapping[str, Any]) -> list[Pair]:
    """Read back what `as_result` wrote."""
    scores = [Score(**score) for score in result["scores"]]
    tests = [PairedTest(**test) for test in result["comparisons"]]
    return [
        Pair(base=base, adapter=adapter, test=test)
        for base, adapter, test in zip(scores[::2], scores[1::2], tests, strict=True)
    ]
