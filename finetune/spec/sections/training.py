"""Sections `lora` and `train` of a recipe."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from finetune.errors import Unfit
from finetune.messages import Place, Problem, problem
from finetune.spec.section import PathText, Section

Precision = Literal["fp32", "bf16", "fp16"]
Sharding = Literal["none", "ddp", "zero1", "zero2", "zero3", "fsdp"]
Offload = Literal["none", "optimizer", "all"]
WARMUP_RATIO = 0.03
"""Default fraction of warm-up, that of QLoRA (Dettmers et al. 2023)."""
MOST_WARMUP = 0.2
"""A longer warm-up gets a warning."""
LONGEST_INTERVAL, LEAST_VALIDATIONS = 50, 5
"""Of validations: at most so many steps apart, and at least so many in a run."""


class Lora(Section):
    """LoRA adapter (Hu et al. 2021)."""

    rank: Annotated[int, Field(ge=1, le=1024)] = 16
    """Rank of the LoRA matrices A and B."""
    alpha: Annotated[float, Field(gt=0)] = 32.0
    """Scaling numerator: the update is multiplied by alpha/rank (rsLoRA: alpha/sqrt(rank))."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout probability on the adapter input."""
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    """Modules with an adapter: all linear layers except the head, or a list of name suffixes."""
    rslora: bool = False
    """Rank-stabilized scaling (Kalajdzievski 2023)."""
    dora: bool = False
    """Weight decomposition (DoRA: Liu et al. 2024); slower."""
    init: Literal["default", "gaussian", "orthogonal", "pissa"] = "default"
    """Initialisation of A and B (PiSSA: Meng et al. 2024)."""
    loraplus_lr_ratio: Annotated[float, Field(ge=1)] = 1.0
    """LoRA+ (Hayou et al. 2024): learning rate of B divided by that of A."""


class Train(Section):
    """Training hyperparameters. Settings of execution are in `run`."""

    max_steps: Annotated[int, Field(gt=0)] | None = None
    """Number of optimizer steps; an alternative to `epochs`."""
    epochs: Annotated[float, Field(gt=0)] | None = None
    """Number of passes over the training split; an alternative to `max_steps`."""
    batch_tokens: Annotated[int, Field(gt=0)] = 8192
    """Global batch size in tokens: all ranks and gradient-accumulation steps of one optimizer step
    (a multiple of `prepare.sequence_tokens`)."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak learning rate."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Learning-rate schedule after warm-up; `cosine` and `linear` end at 0."""
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    """Number of linear warm-up steps; an alternative to `warmup_ratio`."""
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Fraction of all steps that is linear warm-up, rounded up to whole steps. Default: 0.03,
    unless `warmup_steps` is given."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight decay (AdamW) of the LoRA A and B matrices."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Maximum gradient norm (gradient clipping)."""
    precision: Literal["auto", Precision] = "auto"
    """Numeric precision. `auto`: fp32 on a CPU; bf16 on a GPU that supports it, else fp16 (fp32 for
    Gemma-3, which overflows in fp16). The adapter is float32 in each; fp32 on a GPU means TF32 in
    its products."""
    validate_every_steps: Literal["auto"] | Annotated[int, Field(gt=0)] = "auto"
    """Steps between validations. `auto`: a fifth of all steps, at most 50."""
    validation_documents: Annotated[int, Field(gt=0)] = 200
    """Maximum number of validation documents, balanced over languages."""
    early_stopping_patience: Annotated[int, Field(ge=0)] = 0
    """Early stopping: validations without improvement; 0: off."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of adapter initialisation, data order and dropout."""
    start_from: PathText | None = None
    """Folder of an adapter to continue from. Default: a new adapter."""
    sharding: Literal["auto", Sharding] = "auto"
    """Distributed strategy; does not affect the cache key. `ddp` replicates the model; DeepSpeed's
    `zero1` shards the optimizer state, `zero2` also the gradients, `zero3` also the weights, as
    does `fsdp`. `auto`: `none` for one rank, `ddp` where the model fits, else `zero3`, or `fsdp`
    where that cannot train (fp16, 4 bits)."""
    offload: Offload = "none"
    """State offloaded to CPU memory: optimizer state, or the weights too (`zero3` and `fsdp`). Does
    not affect the cache key."""

    def rows_per_step(self, sequence_tokens: int) -> int:
        """Return the sequences per optimizer step over all ranks.

        >>> Train(max_steps=1, batch_tokens=8192).rows_per_step(512)
        16
        """
        return self.batch_tokens // sequence_tokens

    def warmup_of(self, total_steps: int) -> int:
        """Return the warm-up steps of a run; a fraction is rounded up, as in transformers.

        >>> Train(max_steps=24).warmup_of(24), Train(max_steps=24, warmup_steps=3).warmup_of(24)
        (1, 3)
        """
        if self.warmup_steps is not None:
            return self.warmup_steps
        ratio = WARMUP_RATIO if self.warmup_ratio is None else self.warmup_ratio
        return math.ceil(round(ratio * total_steps, 9))

    def validation_interval(self, total_steps: int) -> int:
        """Return the steps between validations of a run.

        >>> Train(max_steps=24).validation_interval(24), Train(max_steps=3).validation_interval(3)
        (4, 1)
        """
        if self.validate_every_steps != "auto":
            return self.validate_every_steps
        return min(LONGEST_INTERVAL, max(1, total_steps // LEAST_VALIDATIONS))

    def warmup_warning(self, total_steps: int) -> Problem | None:
        """Return a warning if warm-up is more than a fifth of the steps of a run."""
        warmup = self.warmup_of(total_steps)
        if warmup <= max(1, MOST_WARMUP * total_steps):
            return None
        key = "warmup_ratio" if self.warmup_steps is None else "warmup_steps"
        return problem(
            "long-warmup",
            "warm-up takes {warmup} of the steps ({steps}), so the learning rate reaches its "
            "peak late or never; write {line}",
            at=Place(key=f"train.{key}"),
            warmup=min(warmup, total_steps),
            steps=total_steps,
            line="warmup_ratio: " + str(WARMUP_RATIO),
        )

    @model_validator(mode="after")
    def _one_warmup(self) -> Train:
        if self.warmup_steps is not None and self.warmup_ratio is not None:
            raise Unfit(
                problem(
                    "two-warmups",
                    "give warmup_steps or warmup_ratio, not both",
                    at=Place(key="warmup_ratio"),
                )
            )
        return self

    @model_validator(mode="after")
    def _one_length(self) -> Train:
        if (self.max_steps is None) == (self.epochs is None):
            raise Unfit(problem("no-one-length", "give exactly one of max_steps and epochs"))
        return self

    @model_validator(mode="after")
    def _offload_fits(self) -> Train:
        allowed = {
            "none": (),
            "ddp": (),
            "zero1": ("optimizer",),
            "zero2": ("optimizer",),
        }.get(self.sharding, ("optimizer", "all"))
        if self.offload != "none" and self.offload not in allowed:
            small = () if self.offload == "all" else ("zero1", "zero2")
            raise Unfit(
                problem(
                    "offload-without-sharding",
                    "{offload} does not work with sharding: {sharding}; it needs one of: {fitting}",
                    at=Place(key="offload"),
                    offload=self.offload,
                    sharding=self.sharding,
                    fitting=[*small, "zero3", "fsdp"],
                )
            )
        return self


def total_steps(train: Train, *, num_rows: int, rows_per_step: int) -> int:
    """Return the number of optimizer steps; epochs are rounded up to whole steps.

    >>> total_steps(Train(epochs=2), num_rows=10, rows_per_step=8)
    3
    >>> total_steps(Train(max_steps=7), num_rows=10, rows_per_step=8)
    7
    """
    if train.max_steps is not None:
        return train.max_steps
    assert train.epochs is not None  # noqa: S101, the recipe's validator promises one of the two
    # 0.1 * 30 is 3.0000000000000004: rounding noise must not add a step.
    return max(1, math.ceil(round(train.epochs * num_rows / rows_per_step, 9)))
