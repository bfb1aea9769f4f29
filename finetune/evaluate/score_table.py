"""Table of scores and paired tests, for the terminal and the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from finetune.artefacts.drop_rows import COLUMNS, drop_rows
from finetune.artefacts.first_lines import first_lines
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.model_comparisons import COLUMNS as MODEL_COLUMNS
from finetune.artefacts.model_comparisons import model_rows, models_ahead
from finetune.artefacts.other_documents import limits
from finetune.artefacts.results import EvaluateResult
from finetune.artefacts.scores import Pair, PairedTest, Rival, Score
from finetune.artefacts.verdicts import (
    YARDSTICKS,
    beaten,
    claim_p,
    items_of,
    of_table,
    p_text,
    verdict,
)
from finetune.evaluate.descriptions.shown_outputs import show_outputs
from finetune.output.console import Console
from finetune.spec.tables.metric import metric
from finetune.spec.tables.task import task_of

TABLE_COLUMNS = (
    "metric",
    "language",
    "items",
    "base [95 %]",
    "adapter [95 %]",
    "difference",
    "p",
    "verdict",
)


def show_scores(
    result: EvaluateResult, *, console: Console, gates: Sequence[GateResult] = ()
) -> None:
    """Show the comparison of base, yardsticks and adapter, from the result of `evaluate`."""
    if not result.pairs:  # no card has test records
        return
    for line in first_lines(result.comparisons, gates=gates):
        facts = {"warning": line.kind} if line.is_warning else {"gain": line.kind == "gain"}
        console.say(line.text, **facts)
    rows = table_rows(of_table("scores", result.pairs))
    # intervals under their values, so that a terminal of 80 columns is enough
    narrow = [
        (
            "\n".join(filter(None, (metric, where, items.replace(", ", "\n")))),
            base.replace(" [", "\n["),
            adapter.replace(" [", "\n["),
            f"{difference}\np {p}" if p.startswith("<") else f"{difference}\np = {p}",
            verdict.replace(" (chance", "\n(chance").replace("; ", ";\n"),
        )
        for metric, where, items, base, adapter, difference, p, verdict in rows
    ]
    columns = ("", "base [95 %]", "adapter [95 %]", "difference", "verdict")
    title = "base and yardsticks vs. adapter, test split"
    console.table(title, columns, narrow, name="scores", facts=map(_facts, result.pairs))
    if others := drop_rows(result.other_documents):
        title = "documents held out as a whole, against texts held out alone"
        numbers = map(asdict, result.other_documents)
        console.table(title, COLUMNS, others, name="other_documents", facts=numbers)
    if result.models:
        for said in models_ahead(result.models):
            console.say(said)
        title = "other models on the same items: they decide nothing"
        console.table(
            title,
            MODEL_COLUMNS,
            model_rows(result.models),
            name="compared_models",
            facts=map(asdict, result.models),
        )
    for said in limits(result.documents):
        console.say(said)
    show_outputs(result, console=console)


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
        "unit": test.unit,
        "given": test.given,
        "base": {name: getattr(pair.base, name) for name in ("value", "low", "high")},
        "adapter": {name: getattr(pair.adapter, name) for name in ("value", "low", "high")},
        "difference": {"value": test.difference, "low": test.low, "high": test.high},
        "p_value": test.p_value,
        "p_holm": test.p_holm,
        "minimum_effect": test.minimum_effect,
        "detectable": test.detectable,
        "better": test.better,
        "yardsticks": {rival.name: _rival_facts(rival) for rival in test.rivals},
    }


def _rival_facts(rival: Rival) -> dict[str, Any]:
    return {
        "value": rival.value,
        "difference": {"value": rival.difference, "low": rival.low, "high": rival.high},
        "p_value": rival.p_value,
    }


def table_rows(pairs: Sequence[Pair]) -> list[tuple[str, ...]]:
    """Return the table rows, with the columns of `TABLE_COLUMNS`; yardsticks under their pair."""
    return [row for pair in pairs for row in (_row(pair), *_rival_rows(pair))]


def _row(pair: Pair) -> tuple[str, ...]:
    test = pair.test
    return (
        test.metric,
        where(test),
        items_of(test),
        cell(pair.base),
        cell(pair.adapter),
        f"{test.difference:+z.{metric(test.metric).decimals}f}",
        claim_p(test),
        verdict(test),
    )


def _rival_rows(pair: Pair) -> Iterator[tuple[str, ...]]:
    test = pair.test
    scores = {score.system: score for score in pair.yardsticks}
    for rival in test.rivals:
        yield (
            YARDSTICKS[rival.name],
            "",
            "",
            cell(scores[rival.name]),
            "",
            f"{rival.difference:+z.{metric(test.metric).decimals}f}",
            p_text(rival.p_value, floor=test.p_floor),
            beaten(rival, test),
        )


def cell(score: Score) -> str:
    """Format a score and its interval.

    >>> cell(Score("bits_per_byte", "hau_Latn", None, "base", 1.5, 1.4, 1.625, 90, ""))
    '1.500 [1.400, 1.625]'
    """
    places = metric(score.metric).decimals
    return f"{score.value:z.{places}f} [{score.low:z.{places}f}, {score.high:z.{places}f}]"


def where(test: PairedTest) -> str:
    """Return the code of a language or direction, and the task or phase, if any."""
    code = test.direction or test.language
    named = [task_of(test.task, direction=test.direction).label] if test.task else []
    named += [test.phase] if test.phase else []
    return f"{code} ({', '.join(named)})" if named else code
