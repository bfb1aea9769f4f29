"""Table of the data mixture of each phase: share, epochs, unique and repeated tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from finetune.errors import RecipeError
from finetune.estimate.planned_mixture import Mixture, mixtures
from finetune.messages import Problem
from finetune.mix.mixture_plan import DrawnGroup
from finetune.output.console import Console
from finetune.pipeline.store import Store
from finetune.spec.load import Project

COLUMNS = ("group", "share", "epochs", "tokens", "first pass", "repeated passes")


def show_mixtures(project: Project, *, store: Store, console: Console) -> None:
    """Print one table per phase: share, epochs, unique and repeated tokens.

    Raises RecipeError with file and line if the counted sizes make a mixture impossible; with
    estimated sizes it is a warning.
    """
    refused: list[Problem] = []
    known = {found.phase: found for found in mixtures(project, store=store)}
    for phase in project.recipe.training_phases:
        if phase.name not in known:
            console.say(f"{phase.name}: shares are unknown before `finetune fetch`")
    for found in known.values():
        console.table(
            _title(found),
            COLUMNS,
            _rows(found),
            name="mixture",
            facts=map(_facts(found), found.drawn),
        )
        for number, (until, shares) in enumerate(found.stages, start=1):
            each = ", ".join(
                f"{_name(p)} {100 * share:.1f} %"
                for p, share in zip(found.drawn, shares, strict=True)
            )
            console.say(f"curriculum part {number}, up to {100 * until:g} % of the steps: {each}")
        for note in found.notes:
            console.say(f"note: {note}")
        for path, why in found.problems:
            impossible = why.at(project.at(path))
            if found.exact:
                refused.append(impossible)
            else:
                console.say(f"warning, from estimated sizes: {impossible}")
    if refused:
        raise RecipeError(*refused)


def _title(found: Mixture) -> str:
    how = "proportional sampling (no mixing)" if found.mixture is None else _method(found)
    word = "counted on" if found.exact else "estimated from"
    return f"{found.phase}, {found.steps:,} steps: {how} ({word} {found.source})"


def _method(found: Mixture) -> str:
    assert found.mixture is not None  # noqa: S101, the caller asked
    mixture = found.mixture
    words = {
        "proportional": "proportional",
        "temperature": f"temperature {mixture.temperature:g}",
        "unimax": f"UniMax, at most {mixture.max_epochs:g} epochs",
        "fixed": "fixed weights",
    }
    methods = dict.fromkeys(words[part.method] for _, part in mixture.parts)
    return f"{', then '.join(methods)}, by {mixture.by} in {mixture.unit}"


def _rows(found: Mixture) -> list[tuple[str, ...]]:
    return [
        (
            _name(p),
            f"{100 * p.share:.1f} %",
            f"{p.epochs:.2f}",
            f"{p.tokens:,}",
            f"{p.unique_tokens:,}",
            f"{p.repeated_tokens:,}",
        )
        for p in found.drawn
    ]


def _facts(found: Mixture) -> Callable[[DrawnGroup], dict[str, Any]]:
    """Return the function from a group to its row in JSON."""

    def facts(group: DrawnGroup) -> dict[str, Any]:
        return {
            "phase": found.phase,
            "group": _name(group),
            "mixed": found.mixture is not None,
            "counted": found.exact,
            **asdict(group),
            "repeated_tokens": group.repeated_tokens,
        }

    return facts


def _name(group: DrawnGroup) -> str:
    return f"{group.name} (replay)" if group.replay else group.name
