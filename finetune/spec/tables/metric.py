"""The table of metrics; reports, tests and publishing loop over its rows.

A row is a name and where its descriptor is. A package outside adds one with an entry point:

    [project.entry-points."finetune.metrics"]
    length = "my_package.length:METRIC"

An installed metric is computed only where a recipe names it in `evaluate.metrics`: an
installed package alone changes no result.

Legend: N items, K statistics of an item.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from finetune.errors import RecipeError
from finetune.messages import problem
from finetune.spec.entry_points import described, origin

METRICS: Mapping[str, str] = {
    "bits_per_byte": "finetune.evaluate.metrics.bits_per_byte:METRIC",
    "end_mark_bits": "finetune.evaluate.metrics.end_mark_bits:METRIC",
    "chrf++": "finetune.evaluate.metrics.chrf:METRIC",
    "chrf++_plain": "finetune.evaluate.metrics.chrf_plain:METRIC",
    "exact_match": "finetune.evaluate.metrics.exact_match:METRIC",
    "f1": "finetune.evaluate.metrics.f1:METRIC",
    "fidelity": "finetune.evaluate.metrics.fidelity:METRIC",
    "repetition_rate": "finetune.evaluate.metrics.repetition_rate:METRIC",
    "copy_rate": "finetune.evaluate.metrics.copy_rate:METRIC",
    "source_bits": "finetune.evaluate.metrics.source_bits:METRIC",
    "choice_accuracy": "finetune.evaluate.metrics.choice_accuracy:METRIC",
    "forgetting_bits": "finetune.evaluate.metrics.forgetting_bits:METRIC",
    "kl_per_token": "finetune.evaluate.metrics.kl_per_token:METRIC",
    "task_accuracy": "finetune.evaluate.metrics.task_accuracy:METRIC",
}
VALIDATION = "bits_per_byte"
"""The validation metric, by language, that chooses the best checkpoint; the field of each
validation in metrics.jsonl and in the history of a run."""
FIDELITY, FORGETTING, KL = "fidelity", "forgetting_bits", "kl_per_token"
SOURCE_BITS = "source_bits"
"""Metrics of the gates of a public release, beside the claims (finetune/artefacts/gates)."""
VALIDATED = f"validation_{VALIDATION}"
"""Field of a training's result, and column of tables of results: the best validation."""
_GROUP = "finetune.metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Computation of a score from a system's output for each item, and its display."""

    name: str
    """In scores.json and in recipes."""
    label: str
    """For people, as within a sentence: `bits per byte`, `chrF++`."""
    about: str
    """Its meaning, as the end of a sentence that begins with "it"."""
    hub_id: str
    """Metric type in the metadata of the Hub; several metrics may be of one type."""
    higher_is_better: bool
    decimals: int
    """Number of significant decimals."""
    scale: tuple[float | None, float | None] = (None, None)
    """Lowest and highest possible score; None: not known."""
    unit: str = ""
    """A short form for the heads of columns; the label if there is none."""
    denominator: str = ""
    """Name of the sum of its second statistic, which its signature states: `bytes`."""
    title: str = ""
    """Of its picture; the label if there is none."""
    percent_of_base: bool = False
    """True if a difference is also shown in percent of the base's score; misleading for a score
    that may be 0."""
    minimum_effect: float = 0.0
    """Difference below which nothing is called better or worse: in percent of the other system's
    score with `percent_of_base`, else in the units of the score."""
    is_judged: bool = True
    """False: it is shown, and nothing is claimed from it."""
    holds_in: str | None = None
    """Metric of the same outputs in which a gain has to hold as well, or it is not claimed."""
    table: Literal["scores", "outputs"] = "scores"
    """The table that shows it: of scores, or of what the outputs look like."""
    chance: float | None = None
    """Share of items that guessing has right, for a metric that is such a share."""
    takes: type[Any]
    """Input per item: `Generation`, `Likelihood` (finetune.evaluate.outputs), or a
    class of a task of your own."""
    can_score: Callable[[Sequence[Any]], bool] | None = None
    """Outputs of N items -> False where it would say nothing of them; then there is no score."""
    statistics: Callable[[Sequence[Any]], Any]
    """Outputs of N items -> their statistics, a float64 array (N, K). Resampling adds up the rows
    of the items that are drawn."""
    value: Callable[[Any], Any]
    """Sums of statistics (..., K) -> scores (...), float64 arrays."""
    signature: Callable[[str], str] | None = None
    """The conditions of an evaluation -> how a score was computed. Default: name and conditions."""

    @property
    def heading(self) -> str:
        """The label at the start of a sentence; a label with capitals of its own stays."""
        return self.label.capitalize() if self.label.islower() else self.label

    @property
    def better(self) -> str:
        """Direction of better scores: `higher` or `lower`."""
        return "higher" if self.higher_is_better else "lower"

    @property
    def column(self) -> str:
        """The head of a column."""
        return self.unit or self.label

    def least_effect(self, value: float, stated: Mapping[str, float]) -> float:
        """Return the minimum effect beside a system with this score; `stated`: of a recipe."""
        effect = stated.get(self.name, self.minimum_effect)
        return abs(value) * effect / 100 if self.percent_of_base else effect

    @property
    def fields(self) -> tuple[str, str, str]:
        """Names of base, adapter and p-value in `finetune report --sweep --csv` and `--json`.

        What is no letter or digit of the name becomes `_`, none at its ends: `chrf++` -> `chrf`.
        """
        safe = re.sub(r"[^0-9A-Za-z]+", "_", self.name).strip("_")
        return f"base_{safe}", f"adapter_{safe}", f"{safe}_p_value"

    def signed(self, conditions: str) -> str:
        """Return how a score was computed, from the conditions of its evaluation."""
        return self.signature(conditions) if self.signature else f"{self.name}|{conditions}"


@cache
def metric(name: str) -> Metric:
    """Return the row of a name. Raises RecipeError if neither we nor a package have one."""
    return described(name, Metric, group=_GROUP, known=METRICS)


def refuse_shared_fields(metrics: Iterable[Metric]) -> None:
    """Raise RecipeError if two metrics would have a column of one name in a table of results."""
    owners: dict[str, str] = {}
    for row in metrics:
        for field in row.fields:
            other = owners.setdefault(field, row.name)
            if other != row.name:
                raise RecipeError(
                    problem(
                        "metrics-of-one-column",
                        "metrics {first!r} and {second!r} would both be {column!r} in tables of "
                        "results; name only one of them in evaluate.metrics",
                        first=metric_origin(other),
                        second=metric_origin(row.name),
                        column=field,
                    )
                )


def metric_origin(name: str) -> str:
    """Return the name, with package and version if it is not one of ours."""
    return origin(name, group=_GROUP, known=METRICS)
