"""The data mixture of a training run: the section `mixture` of a recipe."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from finetune.errors import Unfit
from finetune.messages import Place, problem
from finetune.spec.section import Section

Method = Literal["proportional", "temperature", "unimax", "fixed"]
Replay = Literal["auto", "off"] | Annotated[float, Field(gt=0, lt=1)]
Weights = dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]
Temperature = Annotated[float, Field(ge=1, le=1e6)]


class CurriculumStep(Section):
    """An interval of the training run with its own weights; other keys are those of `mixture`."""

    until: Annotated[float, Field(gt=0, le=1)] = 1.0
    """End of the interval, as a fraction of the steps; the last one ends at 1."""
    method: Method | None = None
    """As in `mixture`; default: the value there."""
    temperature: Temperature | None = None
    """As in `mixture`; default: the value there."""
    weights: Weights | None = None
    """As in `mixture`; default: the value there."""
    replay: Replay | None = None
    """As in `mixture`; default: the value there."""


class DataMixture(Section):
    """Sampling weights of languages or cards in the training split. Validation and test are not
    mixed."""

    by: Literal["language", "card"] = "language"
    """Groups that have a weight: target languages, or cards. Within a group texts are sampled in
    proportion to size, in an order that follows from `train.seed`."""
    unit: Literal["tokens", "bytes"] = "tokens"
    """Unit of the weights: tokens of the base's tokenizer, or UTF-8 bytes of target text (fair to
    languages with high fertility)."""
    method: Method = "unimax"
    """Sampling method. `proportional`: by size. `temperature`: by size to the power
    1/`temperature`. `unimax`: uniform, with at most `max_epochs` passes over each group (UniMax:
    Chung et al. 2023). `fixed`: by `weights`."""
    temperature: Temperature = 3.33
    """Sampling temperature: 1 is proportional, larger values are closer to uniform; 3.33 is the
    exponent 0.3 of XLM-R (Conneau et al. 2020) and mT5 (Xue et al. 2021)."""
    max_epochs: Annotated[float, Field(gt=0, le=1e6)] = 4.0
    """`unimax`: maximum mean number of passes over a group. Up to four passes are about as good as
    new text (Muennighoff et al. 2023)."""
    weights: Weights = Field(default_factory=dict)
    """`fixed`: weight of each language (or card); only ratios count, 0 excludes a group."""
    replay: Replay = "auto"
    """Fraction of replay data (corpora marked `replay: true`), mixed in against catastrophic
    forgetting. `auto`: 0.2 if the target text includes plain text, 0.1 for translations and
    conversations only (Elhady et al. 2025). `off`: replay data is not used."""
    budget_tokens: Annotated[int, Field(gt=0)] | None = None
    """Training length (tokens) used to compute UniMax weights and the curriculum. Default: the
    length of this run. With it, a run whose `max_steps` is raised later keeps its
    data order."""
    curriculum: list[CurriculumStep] = Field(default_factory=list)
    """Curriculum: successive intervals of the training run with different weights."""

    @property
    def parts(self) -> tuple[tuple[float, DataMixture], ...]:
        """(end as a fraction of the steps, mixture without curriculum) of each interval."""
        whole = self.model_copy(update={"curriculum": []})
        if not self.curriculum:
            return ((1.0, whole),)
        return tuple(
            (
                step.until,
                whole.model_copy(
                    update=step.model_dump(exclude={"until"}, exclude_none=True),
                ),
            )
            for step in self.curriculum
        )

    @model_validator(mode="after")
    def _steps_follow(self) -> DataMixture:
        ends = [step.until for step in self.curriculum]
        if any(a >= b for a, b in pairwise(ends)):
            raise Unfit(
                problem(
                    "curriculum-order",
                    "each `until` must be larger than the one before; got {ends}. Without `until` "
                    "a step goes to the end",
                    at=Place(key="curriculum"),
                    ends=ends,
                )
            )
        if ends and ends[-1] != 1.0:
            raise Unfit(
                problem(
                    "curriculum-end",
                    "the last step ends at {end:g} of the run; leave its `until` out or add one",
                    at=Place(key="curriculum"),
                    end=ends[-1],
                )
            )
        return self

    @model_validator(mode="after")
    def _read_by_a_method(self) -> DataMixture:
        methods = {part.method for _, part in self.parts}
        needs = {"temperature": "temperature", "weights": "fixed", "max_epochs": "unimax"}
        for key, method in needs.items():
            given = key in self.model_fields_set or any(
                key in step.model_fields_set for step in self.curriculum
            )
            if given and method not in methods:
                raise Unfit(
                    problem(
                        "key-of-other-method",
                        "only `method: {method}` reads it, and the method is {methods}; leave it "
                        "out or change the method",
                        at=Place(key=key),
                        method=method,
                        methods=sorted(methods),
                    )
                )
        for _, part in self.parts:
            if part.method == "fixed" and not sum(part.weights.values()) > 0:
                raise Unfit(
                    problem(
                        "no-weights",
                        "`method: fixed` needs weights, at least one of them above 0, for example "
                        "{example}",
                        at=Place(key="weights"),
                        example="{wol_Latn: 2, fuc_Latn: 1}",
                    )
                )
        return self
