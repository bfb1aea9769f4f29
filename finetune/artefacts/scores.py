"""Scores and paired tests: the rows of scores.json, of the model card and of a data frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Split = Literal["train", "validation", "test"]
SystemName = Literal["base", "adapter"]
Yardstick = Literal["ngram", "copy", "examples"]
"""Rivals of an adapter besides the base: a byte n-gram model of the training texts, a copy of the
source, the base with training examples in its prompt."""
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
    system: SystemName | Yardstick
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
    unit: str = field(default="item", metadata=SPARSE)
    """Kind of the items: `segment`, `line`, `document`; several with commas."""
    given: str | None = field(default=None, metadata=SPARSE)
    """Condition of a likelihood: `source`, `prompt`, `source or prompt`; None: nothing but the text
    before."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A yardstick on the same items; `difference` is adapter minus yardstick."""

    name: Yardstick
    value: float
    difference: float
    low: float
    high: float
    p_value: float
    minimum_effect: float


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
    p_floor: float = 0.0
    """The smallest p-value that this test can give: at it, p is a bound."""
    p_holm: float | None = None
    """p-value of the claim, adjusted for the number of claims of this evaluation: of the adapter
    against base and yardsticks, the largest. None: nothing is claimed."""
    minimum_effect: float = 0.0
    """The end of the interval must be at least this far from 0."""
    detectable: float | None = None
    """The difference that such a test finds in 80 % of cases."""
    documents: int | None = None
    """Documents that the n items belong to; they are what is exchanged and resampled."""
    unit: str = field(default="item", metadata=SPARSE)
    given: str | None = field(default=None, metadata=SPARSE)
    rivals: tuple[Rival, ...] = ()
    fails_in: str | None = field(default=None, metadata=SPARSE)
    """Metric in which the gain would have to hold as well and does not (`Metric.holds_in`)."""


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
    yardsticks: tuple[Score, ...] = ()

    @property
    def scores(self) -> tuple[Score, ...]:
        """All of them: base, adapter, yardsticks."""
        return (self.base, self.adapter, *self.yardsticks)


@dataclass(frozen=True, slots=True)
class ItemFile:
    """Statistics of every scored item: a `.npy` file, and the items in a JSONL file.

    The array is float64 (systems, items, statistics); line i of the JSONL file is item i. A system
    without an output for an item has NaN. Sums over the items of a subject give its scores.
    """

    task: str
    metric: str
    systems: tuple[str, ...]
    scores: str
    items: str
    scores_sha256: str = field(default="", metadata=SPARSE)
    items_sha256: str = field(default="", metadata=SPARSE)
