"""Section `gates` of a recipe: conditions of a public release."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from finetune.spec.section import Section
from finetune.statistics.claims import MIN_ITEMS_OF_A_CLAIM

GateName = Literal[
    "yardsticks",
    "fidelity",
    "repetition",
    "forgetting",
    "kl",
    "wrong_source",
    "contamination",
    "items",
    "judgement",
    "health",
]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=500)]


class Gates(Section):
    """Conditions of a public release; they stop neither training nor a private release.

    A limit may be stricter than its default. What does not pass needs a reason in `override`,
    which the release shows.
    """

    fidelity: Annotated[float, Field(ge=0.8, le=1)] = 0.8
    """Minimum language fidelity: share of outputs identified as the language, divided by that of
    the references."""
    repetition: Annotated[float, Field(gt=0, le=0.2)] = 0.2
    """Maximum repetition of the outputs beyond that of the references: share of the character
    4-grams that stood in the same output before, as a difference."""
    forgetting_percent: Annotated[float, Field(gt=0, le=10)] = 10.0
    """Maximum rise of the bits per byte of held-out English or French, or of the card in
    `evaluate.forgetting`, in percent of the base's."""
    kl_per_token: Annotated[float, Field(gt=0, le=1.0)] = 1.0
    """Maximum mean KL divergence of the adapter from the base, in nats per token, where the base
    continues English and French prompts."""
    items: Annotated[int, Field(ge=MIN_ITEMS_OF_A_CLAIM)] = MIN_ITEMS_OF_A_CLAIM
    """Minimum number of test items per language."""
    override: dict[GateName, Reason] = Field(default_factory=dict)
    """Gate -> the reason for which a release may be public without passing it; it stands in the
    first lines of summary and model card. Gates: `yardsticks` (better than base, n-gram model and
    copy), `fidelity`, `repetition`, `forgetting`, `kl`, `wrong_source` (uses its source more than
    the base), `contamination` (did not see the test), `items`, `judgement` (not required),
    `health` (with `intended_use: health` alone)."""
