"""First lines of summary, report and model card: what has to be read before any score.

In this order: health, overridden gates, an n-gram model that does better, the gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.gates.table import GATES, overridden, said_of
from finetune.artefacts.scores import PairedTest
from finetune.artefacts.verdicts import (
    YARDSTICK_NAMES,
    is_gain,
    sign_of_gain,
    warnings,
    where_said,
)
from finetune.messages import Sentence, counted, sentence
from finetune.spec.tables.metric import metric

LineKind = Literal["health", "overridden", "worse-than-ngram", "gain", "no-gain"]
GAINS_NAMED = 5
"""Gains in the line; of more, the number is shown."""


@dataclass(frozen=True, slots=True)
class Line:
    """One of the first lines, and its kind."""

    kind: LineKind
    text: Sentence

    @property
    def is_warning(self) -> bool:
        """True for all but the gain."""
        return self.kind not in ("gain", "no-gain")


def first_lines(
    tests: Sequence[PairedTest],
    *,
    gates: Sequence[GateResult] = (),
    health: Sequence[Sentence] = (),
) -> list[Line]:
    """Return the first lines; `health` are further warnings about use for health and the like."""
    return [
        *(Line("health", text) for text in (*_for_health(gates), *health)),
        *(Line("overridden", _override(result)) for result in overridden(gates)),
        *(Line("worse-than-ngram", text) for text in warnings(tests)),
        *_gain(tests),
    ]


def _for_health(gates: Sequence[GateResult]) -> list[Sentence]:
    """Return the warning of an adapter that is made for health."""
    if not any(one.gate == "health" and one.finding != "does not apply" for one in gates):
        return []
    return [
        sentence(
            "Made for health: what it writes may be wrong or dangerous, and is no advice of a "
            "health worker; have everything checked by one who reads the language."
        )
    ]


def _override(result: GateResult) -> Sentence:
    return sentence(
        "The gate {gate!r} ({label}) is overridden: {found}. Reason: {reason}",
        gate=result.gate,
        label=GATES[result.gate].label,
        found=said_of(result),
        reason=result.override,
    )


def _gain(tests: Sequence[PairedTest]) -> list[Line]:
    """Return the gains of languages in which every comparison is one, likelihood and translation.

    Whatever an adapter is trained on may lower the bits of a base that knows no text at all.
    """
    if not tests:
        return []
    claims = [test for test in tests if test.task is None and metric(test.metric).is_judged]
    lost = {test.language for test in claims if not is_gain(test)}
    won = [test for test in claims if test.language not in lost]
    if not won:
        return [Line("no-gain", _no_gain(claims))]
    gains = [_compared(test) for test in won[:GAINS_NAMED]]
    if more := len(won) - len(gains):
        gains.append(counted("{count} more", "{count} more", more))
    return [Line("gain", sentence("Better than base and yardsticks: {gains}.", gains=gains))]


def _no_gain(claims: Sequence[PairedTest]) -> Sentence:
    if not claims:
        return sentence("No gain over base and yardsticks is claimed.")
    return sentence(
        "No gain over base and yardsticks is claimed: {scores}.",
        scores=[_compared(test) for test in claims[:GAINS_NAMED]],
    )


def _compared(test: PairedTest) -> Sentence:
    """Return the scores of base and adapter, and of the yardstick that comes nearest."""
    row = metric(test.metric)
    facts = {
        "where": where_said(test),
        "metric": row.label,
        "base": f"{test.base:z.{row.decimals}f}",
        "adapter": f"{test.adapter:z.{row.decimals}f}",
    }
    if not test.rivals:
        return sentence("{where} {metric} {base} -> {adapter}", **facts)
    best = max(test.rivals, key=lambda rival: sign_of_gain(test) * rival.value)
    return sentence(
        "{where} {metric} {base} -> {adapter} ({yardstick} {value})",
        yardstick=YARDSTICK_NAMES[best.name],
        value=f"{best.value:z.{row.decimals}f}",
        **facts,
    )
