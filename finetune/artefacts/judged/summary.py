"""Summary of judgements: preference, marks, agreement.

Legend: J judges, N items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from finetune.artefacts.judged.collected import (
    Choice,
    Collected,
    InLanguage,
    Judged,
    Marks,
    read_collected,
)
from finetune.messages import Place
from finetune.statistics.agreement import krippendorff_alpha

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SHARE: dict[Choice, float] = {"adapter": 1.0, "neither": 0.5, "other": 0.0}
_CLASSES: dict[Choice | InLanguage, int] = {
    **{"adapter": 1, "neither": 0, "other": -1},
    **{"yes": 2, "partly": 1, "no": 0},
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over judgements with its 95 % interval; None at both ends with too few items."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class MarksOf:
    """Means of one output: points of 0 to 100, and the share that is in language and spelling."""

    adequacy: float
    fluency: float
    in_language: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Krippendorff's alpha; None where no item has two judges, or all said the same."""

    choice: float | None
    """Nominal: adapter, other, neither."""
    adequacy: float | None
    """Interval, of both outputs of each item."""
    fluency: float | None
    language: float | None
    """Ordinal: no, partly, yes."""


@dataclass(frozen=True, slots=True)
class JudgedSummary:
    """The judgements of a campaign, without judges."""

    language: str
    other: str
    task: str
    judges: int
    items: int
    """Items that at least one judge judged."""
    shown: int
    judgements: int
    preference: Estimate
    """Share of judgements that prefer the adapter; `neither` counts half."""
    adequacy_difference: Estimate
    """Adapter minus the other, points."""
    fluency_difference: Estimate
    adapter: MarksOf
    other_marks: MarksOf
    agreement: Agreement
    left_out: tuple[tuple[str, int], ...] = ()
    health: bool = False
    """True if answers to prompts on health were judged."""
    not_counted: int = 0
    """Judges whose answers do not count: they failed most attention items."""

    @property
    def preferred(self) -> Choice:
        """The one that is preferred by more than chance: its interval lies above a half."""
        low, high = self.preference.low, self.preference.high
        if low is None or high is None or low <= 0.5 <= high:
            return "neither"
        return "adapter" if low > 0.5 else "other"


def summary_of(collected: Collected) -> JudgedSummary:
    """Return what follows from the judgements of a campaign; the same for the same file."""
    from finetune.statistics.judged_means import judged_mean

    answers = collected.answers

    def mean(value: Callable[[Judged], float]) -> Estimate:
        found = judged_mean(_cells(answers, value))
        ends = [None if isnan(end) else end for end in (found.low, found.high)]
        return Estimate(found.value, *ends)

    return JudgedSummary(
        language=collected.language,
        other=collected.other,
        task=collected.task,
        judges=collected.judges,
        items=len({one.item for one in answers}),
        shown=collected.items,
        judgements=len(answers),
        preference=mean(lambda one: _SHARE[one.prefers]),
        adequacy_difference=mean(lambda one: one.adapter.adequacy - one.other.adequacy),
        fluency_difference=mean(lambda one: one.adapter.fluency - one.other.fluency),
        adapter=_marks([one.adapter for one in answers]),
        other_marks=_marks([one.other for one in answers]),
        agreement=_agreement(answers),
        left_out=tuple(sorted(collected.left_out.items())),
        health=collected.health,
        not_counted=collected.not_counted,
    )


def judged_of(paths: Sequence[str], *, evaluation: str) -> tuple[JudgedSummary, ...]:
    """Return what follows from the judgements that a recipe names, of its evaluation (its key).

    Raises RecipeError for a file that cannot be read, or is of another evaluation.
    """
    at = Place(key="release.judgements")
    return tuple(map(summary_of, read_collected(paths, evaluation=evaluation, at=at)))


def _cells(answers: Sequence[Judged], value: Callable[[Judged], float]) -> NDArray[np.float64]:
    """Return values (J, N), NaN where a judge did not judge an item."""
    import numpy as np

    judges = {name: at for at, name in enumerate(sorted({one.judge for one in answers}))}
    items = {name: at for at, name in enumerate(sorted({one.item for one in answers}))}
    cells_JN = np.full((len(judges), len(items)), np.nan)
    for one in answers:
        cells_JN[judges[one.judge], items[one.item]] = value(one)
    return cells_JN


def _marks(marks: Sequence[Marks]) -> MarksOf:
    n = len(marks)
    return MarksOf(
        sum(one.adequacy for one in marks) / n,
        sum(one.fluency for one in marks) / n,
        sum(one.language == "yes" for one in marks) / n,
    )


def _agreement(answers: Sequence[Judged]) -> Agreement:
    def both(value: Callable[[Marks], float]) -> list[list[float]]:
        return [
            *_units(answers, lambda one: value(one.adapter)),
            *_units(answers, lambda one: value(one.other)),
        ]

    return Agreement(
        choice=krippendorff_alpha(
            _units(answers, lambda one: _CLASSES[one.prefers]), level="nominal"
        ),
        adequacy=krippendorff_alpha(both(lambda marks: marks.adequacy), level="interval"),
        fluency=krippendorff_alpha(both(lambda marks: marks.fluency), level="interval"),
        language=krippendorff_alpha(both(lambda marks: _CLASSES[marks.language]), level="ordinal"),
    )


def _units(answers: Sequence[Judged], value: Callable[[Judged], float]) -> list[list[float]]:
    units: dict[str, list[float]] = {}
    for one in answers:
        units.setdefault(one.item, []).append(value(one))
    return list(units.values())
