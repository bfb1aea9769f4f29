"""Table of scores and paired tests, for the terminal and the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finetune.artefacts.results import EvaluateResult
from finetune.artefacts.scores import Pair, PairedTest, Score
from finetune.output.console import Console
from finetune.spec.tables.metric import metric
from finetune.spec.tables.task import task
from finetune.statistics.bootstrap import MIN_ITEMS

TABLE_COLUMNS = (
    "metric",
    "language",
    "base [95 %]",
    "adapter [95 %]",
    "difference",
    "p",
    "verdict",
)


def show_scores(result: EvaluateResult, *, console: Console) -> None:
    """Show the comparison of base and adapter, from the result of the stage `evaluate`."""
    if not result.pairs:  # no card has test records
        return
    rows = table_rows(result.pairs)
    title = "base vs. adapter, test split"
    # intervals under their values, so that a terminal of 80 columns is enough
    narrow = [
        (
            f"{metric}\n{where}",
            base.replace(" [", "\n["),
            adapter.replace(" [", "\n["),
            f"{difference}\np {p}" if p.startswith("<") else f"{difference}\np = {p}",
            verdict,
        )
        for metric, where, base, adapter, difference, p, verdict in rows
    ]
    columns = ("", "base [95 %]", "adapter [95 %]", "difference", "verdict")
    console.table(title, columns, narrow, name="scores", facts=map(_facts, result.pairs))


def _facts(pair: Pair) -> dict[str, Any]:
    """Return a comparison as numbers, for JSON."""
    test = pair.test
    return {
        "metric": test.metric,
        "task": test.task,
        "phase": test.phase,
        "language": test.language,
        "direction": test.direction,
        "n": test.n,
        "base": {name: getattr(pair.base, name) for name in ("value", "low", "high")},
        "adapter": {name: getattr(pair.adapter, name) for name in ("value", "low", "high")},
        "difference": {"value": test.difference, "low": test.low, "high": test.high},
        "p_value": test.p_value,
        "better": test.better,
    }


def table_rows(pairs: Sequence[Pair]) -> list[tuple[str, ...]]:
    """Return the table rows, with the columns of `TABLE_COLUMNS`."""
    return [
        (
            pair.test.metric,
            where(pair.test),
            cell(pair.base),
            cell(pair.adapter),
            f"{pair.test.difference:+.{metric(pair.test.metric).decimals}f}",
            p_text(pair.test.p_value),
            verdict(pair.test),
        )
        for pair in pairs
    ]


def verdict(test: PairedTest) -> str:
    """Return the verdict of a paired test.

    >>> test = PairedTest("bits_per_byte", "hau_Latn", None, 2.0, 1.5, -0.5, -0.6, -0.4, 0.002, 90,
    ...                   "adapter", "paired bootstrap, 1,000 resamples")
    >>> verdict(test)
    'adapter better (-25.0 %)'
    """
    if test.better != "neither":
        if not metric(test.metric).percent_of_base:
            return f"{test.better} better"
        return f"{test.better} better ({100 * test.difference / test.base:+.1f} %)"
    if test.n < MIN_ITEMS:
        return f"too few items to test (n = {test.n})"
    if test.difference == test.low == test.high == 0:
        return "no difference"
    return "not significant"


def cell(score: Score) -> str:
    """Format a score and its interval.

    >>> cell(Score("bits_per_byte", "hau_Latn", None, "base", 1.5, 1.4, 1.625, 90, ""))
    '1.500 [1.400, 1.625]'
    """
    places = metric(score.metric).decimals
    return f"{score.value:.{places}f} [{score.low:.{places}f}, {score.high:.{places}f}]"


def where(test: PairedTest) -> str:
    """Return the code of a language or direction, and the task or phase, if any."""
    code = test.direction or test.language
    named = [task(test.task).label] if test.task else []
    named += [test.phase] if test.phase else []
    return f"{code} ({', '.join(named)})" if named else code


def p_text(p_value: float) -> str:
    """Format a p-value.

    >>> p_text(0.002), p_text(0.0002), p_text(1.0)
    ('0.002', '< 0.001', '1.000')
    """
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
