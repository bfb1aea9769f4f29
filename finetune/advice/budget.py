"""What a proposed recipe costs, and how much of it fits into some hours."""

from __future__ import annotations

from pathlib import Path

from finetune.advice.proposal import EPOCHS
from finetune.errors import RecipeError
from finetune.estimate.resources import Estimate, estimate
from finetune.estimate.target import choose_target
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


def affordable_epochs(hours: float, found: Estimate | None) -> float:
    """Return the passes over the corpus that fit into some hours, at the slower end."""
    if found is None or found.cost.tokens_per_second is None:
        raise RecipeError(
            f"--budget-hours {hours:g}: how fast this would train is not known; fetch the base "
            "first, or leave the budget out"
        )
    speed = min(found.cost.tokens_per_second)
    tokens = speed * 3600 * hours
    if tokens < MIN_TOKENS:
        raise RecipeError(
            f"--budget-hours {hours:g}: not enough for one step of {MIN_TOKENS:,} tokens at "
            f"{speed:.3g} tokens a second; allow more, or name GPUs with --site"
        )
    return tokens * EPOCHS / sum(each.tokens for each in found.lengths)


def expected_cost(found: Estimate | None, *, budget_hours: float | None) -> str:
    """Say what training costs, and what that rests on; empty if it is not known."""
    if found is None or found.cost.hours is None or found.cost.tokens_per_second is None:
        return ""
    slow, fast = sorted(found.cost.tokens_per_second)
    speed = f"{slow:,.0f} to {fast:,.0f} tokens a second (finetune estimate; not measured here)"
    if budget_hours is not None:
        return f"Fits into {budget_hours:g} hours of training at {speed}."
    low, high = found.cost.hours
    return f"Expected: {low:.2g} to {high:.2g} hours of training at {speed}."
