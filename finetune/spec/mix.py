"""How much of each language or card a training sees: the section `mix` of a recipe."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from finetune.spec.section import Section

Method = Literal["proportional", "temperature", "unimax", "fixed"]
Replay = Literal["auto", "off"] | Annotated[float, Field(gt=0, lt=1)]
Weights = dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]
Temperature = Annotated[float, Field(ge=1, le=1e6)]


class Stage(Section):
    """A part of the steps with shares of its own. What it does not say is as in `mix`."""

    until: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Where it ends, as a share of the steps; the last stage ends with 1."""
    method: Method | None = None
    """As in `mix`."""
    temperature: Temperature | None = None
    """As in `mix`."""
    weights: Weights | None = None
    """As in `mix`."""
    replay: Replay | None = None
    """As in `mix`."""


class Mix(Section):
    """Shares of languages or cards in what is trained on. Validation and test are not mixed."""

    by: Literal["language", "card"] = "language"
    """What has a share: each language that is learned, or each card. Texts of one group are taken
    in proportion, in an order that `train.seed` decides."""
    unit: Literal["tokens", "bytes"] = "tokens"
    """What is counted: tokens of the base's tokenizer, or UTF-8 bytes of the text that is learned
    (fair to languages that the tokenizer cuts into many pieces)."""
    method: Method = "unimax"
    """`proportional`: by size. `temperature`: by size to the power 1/`temperature`. `unimax`: the
    same for each, but none more than `max_epochs` times (UniMax: Chung et al. 2023). `fixed`: by
    `weights`."""
    temperature: Temperature = 3.33
    """1 is proportional, infinity would be the same for each; 3.33 is the exponent 0.3 of XLM-R
    (Conneau et al. 2020) and mT5 (Xue et al. 2021)."""
    max_epochs: Annotated[float, Field(gt=0, le=1e6)] = 4.0
    """`unimax`: no text is trained on more often than this on average. Up to four passes are about
    as good as new text (Muennighoff et al. 2023)."""
    weights: Weights = Field(default_factory=dict)
    """`fixed`: a number for each language (or card); only their ratio counts, 0 leaves one out."""
    replay: Replay = "auto"
    """Share of the corpora that are marked `replay: true` in all that is trained on, so that the
    base's own languages are not forgotten. `auto`: 0.2 if plain text is learned, 0.1 if only
    translations and conversations are (Elhady et al. 2025). `off`: they are not used."""
    budget_tokens: Annotated[int, Field(gt=0)] | None = None
    """Length of the training for which UniMax and `stages` are computed. Default: its own length.
    With it, a training whose `max_steps` is raised later goes on in the same order."""
    stages: list[Stage] = Field(default_factory=list)
    """A curriculum: parts of the steps with other shares, one after the other."""

    @property
    def parts(self) -> tuple[tuple[float, Mix], ...]:
        """Each stage as (end as a share of the steps, a mix without stages)."""
        whole = self.model_copy(update={"stages": []})
        if not self.stages:
            return ((1.0, whole),)
        return tuple(
            (
                stage.until,
                whole.model_copy(
                    update=stage.model_dump(exclude={"until"}, exclude_none=True),
                ),
            )
            for stage in self.stages
        )

    @model_validator(mode="after")
    def _stages_follow(self) -> Mix:
        ends = [stage.until for stage in self.stages]
        if any(a >= b for a, b in pairwise(ends)):
            raise ValueError(
                f"stages: each `until` must be larger than the one before; got {ends}. Without "
                "`until` a stage goes to the end"
            )
        if ends and ends[-1] != 1.0:
            raise ValueError(
                f"stages: the last one ends at {ends[-1]:g} of the steps; what comes then? Leave "
                "its `until` out, or add a stage"
            )
        return self

    @model_validator(mode="after")
    def _read_by_a_method(self) -> Mix:
        methods = {part.method for _, part in self.parts}
        needs = {"temperature": "temperature", "weights": "fixed", "max_epochs": "unimax"}
        for key, method in needs.items():
            given = key in self.model_fields_set or any(
                key in stage.model_fields_set for stage in self.stages
            )
            if given and method not in methods:
                raise ValueError(
                    f"{key}: only `method: {method}` reads it, and method is "
                    f"{', '.join(sorted(methods))}; leave it out or change the method"
                )
        for _, part in self.parts:
            if part.method == "fixed" and not sum(part.weights.values()) > 0:
                raise ValueError(
                    "weights: `method: fixed` needs them, and at least one above 0, e.g. "
                    "{wol_Latn: 2, fuc_Latn: 1}"
                )
        return self
