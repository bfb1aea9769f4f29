"""Cost of a proposed recipe, and the share of it that fits into a number of hours."""

from __future__ import annotations

from pathlib import Path

from finetune.advice.proposal import EPOCHS
from finetune.errors import RecipeError
from finetune.estimate.resources import Estimate, estimate
from finetune.estimate.target import choose_target
from finetune.messages import Place, problem
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store
from finetune.spec.site import Site

MIN_TOKENS = 8192
"""Of one step (train.batch_tokens)."""


def estimated(recipe: Path, *, site: Site | None, store: Store) -> Estimate:
    """Return the estimate of a recipe on a site, or on this machine.

    Raises StoreError if its base is not here, RecipeError if the recipe does not pass the gate.
    """
    project = open_project(recipe, purpose="estimate")
    return estimate(project, choose_target(site), store=store, pue=1.0)


def affordable_epochs(hours: float, resources: Estimate | None) -> float:
    """Return the passes over the corpus that fit into some hours, at the slower end."""
    if resources is None or resources.cost.tokens_per_second is None:
        raise RecipeError(
            problem(
                "speed-unknown",
                "the training speed is not known; fetch the base first, or omit the budget",
                at=Place(key="--budget-hours"),
            )
        )
    speed = min(resources.cost.tokens_per_second)
    tokens = speed * 3600 * hours
    if tokens < MIN_TOKENS:
        raise RecipeError(
            problem(
                "budget-too-small",
                "{hours:g} h of training is too short for one step of {tokens} tokens at "
                "{speed:.3g} tokens/s; allow more, or name GPUs with --site",
                at=Place(key="--budget-hours"),
                hours=hours,
                tokens=MIN_TOKENS,
                speed=speed,
            )
        )
    return tokens * EPOCHS / sum(each.tokens for each in resources.lengths)


def expected_cost(resources: Estimate | None, *, budget_hours: float | None) -> str:
    """Return the expected cost of training and its basis; empty if it is not known."""
    if (
        resources is None
        or resources.cost.hours is None
        or resources.cost.tokens_per_second is None
    ):
        return ""
    slow, fast = sorted(resources.cost.tokens_per_second)
    speed = f"{slow:,.0f} to {fast:,.0f} tokens per second (finetune estimate; not measured here)"
    if budget_hours is not None:
        return f"Fits into {budget_hours:g} hours of training at {speed}."
    low, high = resources.cost.hours
    return f"Expected: {low:.2g} to {high:.2g} hours of training at {speed}."
