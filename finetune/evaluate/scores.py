"""Scores and comparisons as they are written into scores.json and read by release and report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from finetune.spec.recipe import Evaluate
from finetune.statistics.bootstrap import MIN_ITEMS, Interval, ScoreOfSums
from finetune.statistics.significance import Winner, compare


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
    better: Winner
    test: str
    phase: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Both systems' scores on the same items, and the test between them."""

    base: Score
    adapter: Score
    test: PairedTest


@dataclass(frozen=True, slots=True)
class Subject:
    """What a pair of scores is about."""

    metric: str
    language: str
    direction: str | None
    phase: str | None
    signature: str


def pair_of(
    base_NK: NDArray[np.float64],
    adapter_NK: NDArray[np.float64],
    *,
    subject: Subject,
    score: ScoreOfSums,
    higher_is_better: bool,
    settings: Evaluate,
) -> Pair:
    """Compare the statistics of both systems, row i of the same item, and name the numbers."""
    found = compare(
        base_NK,
        adapter_NK,
        score=score,
        higher_is_better=higher_is_better,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    about: dict[str, Any] = {
        "metric": subject.metric,
        "language": subject.language,
        "direction": subject.direction,
        "phase": subject.phase,
        "n": found.num_items,
    }

    def scored(system: Literal["base", "adapter"], at: Interval) -> Score:
        values: dict[str, Any] = {"value": at.value, "low": at.low, "high": at.high}
        return Score(system=system, signature=subject.signature, **values, **about)

    test = PairedTest(
        base=found.base.value,
        adapter=found.adapter.value,
        difference=found.difference.value,
        low=found.difference.low,
        high=found.difference.high,
        p_value=found.p_value,
        better=found.better,
        test=f"paired bootstrap, {settings.resamples} resamples",
        **about,
    )
    return Pair(scored("base", found.base), scored("adapter", found.adapter), test)


def as_result(pairs: list[Pair]) -> dict[str, Any]:
    """Return the JSON object of scores.json, which is also the stage's result."""
    return {
        "scores": [asdict(s) for pair in pairs for s in (pair.base, pair.adapter)],
        "comparisons": [asdict(pair.test) for pair in pairs],
    }


def pairs_of(result: Mapping[str, Any]) -> list[Pair]:
    """Read back what `as_result` wrote."""
    scores = [Score(**score) for score in result["scores"]]
    tests = [PairedTest(**test) for test in result["comparisons"]]
    return [
        Pair(base=base, adapter=adapter, test=test)
        for base, adapter, test in zip(scores[::2], scores[1::2], tests, strict=True)
    ]


def verdict(test: PairedTest) -> str:
    """Say in words what the test shows.

    >>> test = PairedTest("bits_per_byte", "hau_Latn", None, 2.0, 1.5, -0.5, -0.6, -0.4, 0.002, 90,
    ...                   "adapter", "paired bootstrap, 1000 resamples")
    >>> verdict(test)
    'adapter better (-25.0 %)'
    """
    if test.better != "neither":
        if test.metric != "bits_per_byte":  # percents of a score that may be 0 mislead
            return f"{test.better} better"
        return f"{test.better} better ({100 * test.difference / test.base:+.1f} %)"
    if test.n < MIN_ITEMS:
        return f"too few items to tell (n = {test.n})"
    if test.difference == test.low == test.high == 0:
        return "no difference"
    return "no difference shown"


def cell(score: Score) -> str:
    """Write a score with its interval for a table.

    >>> cell(Score("bits_per_byte", "hau_Latn", None, "base", 1.5, 1.4, 1.625, 90, ""))
    '1.500 [1.400, 1.625]'
    """
    places = decimals(score.metric)
    return f"{score.value:.{places}f} [{score.low:.{places}f}, {score.high:.{places}f}]"


def decimals(metric: str) -> int:
    """Return how many decimals of a metric are worth reading."""
    return 3 if metric == "bits_per_byte" else 1


def table_rows(pairs: list[Pair]) -> list[tuple[str, ...]]:
    """Return the rows under `TABLE_COLUMNS`."""
    return [
        (
            pair.test.metric,
            where(pair.test),
            cell(pair.base),
            cell(pair.adapter),
            f"{pair.test.difference:+.{decimals(pair.test.metric)}f}",
            p_text(pair.test.p_value),
            verdict(pair.test),
        )
        for pair in pairs
    ]


def where(test: PairedTest) -> str:
    """Return the code of a language or direction, with the phase whose test texts they are."""
    code = test.direction or test.language
    return code if test.phase is None else f"{code} ({test.phase})"


TABLE_COLUMNS = (
    "metric",
    "language",
    "base [95 %]",
    "adapter [95 %]",
    "difference",
    "p",
    "verdict",
)


def p_text(p_value: float) -> str:
    """Write a p-value.

    >>> p_text(0.002), p_text(0.0002), p_text(1.0)
    ('0.002', '< 0.001', '1.000')
    """
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
