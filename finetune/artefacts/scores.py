"""Scores and paired tests: the rows of scores.json, of the model card and of a data frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Split = Literal["train", "validation", "test"]
SystemName = Literal["base", "adapter"]
SPARSE = {"sparse": True}
"""Metadata of a field that is absent from the JSON file while it has its default."""


@dataclass(frozen=True, slots=True)
class Score:
    """One number of one system on n items, with its 95 % interval and signature.

    All fields are plain values, so that a data frame takes a list of scores as its rows.
    """

    metric: str
    language: str
    direction: str | None
    """`eng_Latn>hau_Latn` for a translation."""
    system: SystemName
    value: float
    low: float
    high: float
    n: int
    signature: str
    phase: str | None = None
    """The phase whose test texts these are, in a recipe with phases."""
    task: str | None = field(default=None, metadata=SPARSE)
    """The task, if it is neither held-out text nor translation."""
    split: Split = field(default="test", metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Base and adapter on the same n items; `difference` is adapter minus base."""

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
    task: str | None = field(default=None, metadata=SPARSE)


Subject = tuple[str, str | None, str, str | None, str | None]


def subject(record: Score | PairedTest) -> Subject:
    """Return the subject of a score or test: metric, task, language, direction and phase."""
    return record.metric, record.task, record.language, record.direction, record.phase


@dataclass(frozen=True, slots=True)
class Pair:
    """Both systems' scores on the same items, and the test between them."""

    base: Score
    adapter: Score
    test: PairedTest
