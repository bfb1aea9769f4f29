"""Other models of a recipe on the items of base and adapter: shown beside, deciding nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.artefacts.scores import PairedTest
from finetune.artefacts.verdicts import items_of, p_text, sign_of_gain, where
from finetune.messages import Sentence, sentence
from finetune.spec.tables.metric import metric

COLUMNS = ("language", "metric", "model", "its score", "adapter", "difference", "p", "items")


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Another model and the adapter on the same items."""

    model: str
    """Its name in the recipe."""
    hub_id: str
    revision: str | None
    licence: str
    low: float
    high: float
    """The 95 % interval of its score."""
    test: PairedTest
    """With the model in place of the base; no winner is named."""

    @property
    def is_ahead(self) -> bool:
        """True if the whole interval of the difference is on the model's side."""
        return self.test.high < 0 if sign_of_gain(self.test) > 0 else self.test.low > 0


def models_ahead(found: Sequence[ModelComparison]) -> list[Sentence]:
    """Return a line for each comparison in which another model is better than the adapter."""
    return [_ahead(one) for one in found if one.is_ahead]


def _ahead(one: ModelComparison) -> Sentence:
    row = metric(one.test.metric)
    value, adapter = (f"{v:.{row.decimals}f}" for v in (one.test.base, one.test.adapter))
    return sentence(
        "{model} is better on the same items: {where}, {metric} {value} against {adapter} of "
        "the adapter.",
        model=one.hub_id,
        where=where(one.test),
        metric=row.label,
        value=value,
        adapter=adapter,
    )


def model_rows(found: Sequence[ModelComparison]) -> list[tuple[str, ...]]:
    """Return a row per comparison, with the columns of `COLUMNS`."""
    return [_row(one) for one in found]


def _row(one: ModelComparison) -> tuple[str, ...]:
    test, places = one.test, metric(one.test.metric).decimals
    return (
        where(test),
        metric(test.metric).label,
        f"{one.model} ({', '.join(filter(None, (one.hub_id, one.licence)))})",
        f"{test.base:.{places}f} [{one.low:.{places}f}, {one.high:.{places}f}]",
        f"{test.adapter:.{places}f}",
        f"{test.difference:+.{places}f} [{test.low:+.{places}f}, {test.high:+.{places}f}]",
        p_text(test.p_value, floor=test.p_floor),
        items_of(test),
    )
