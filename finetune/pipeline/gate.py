"""The gate: one place for the checks that a recipe must pass for a purpose.

Consent, permitted uses, the licence of the release, files with their checksums, and the lock. No
stage is called: the rules are in `spec`, the resolution of files in `sources`. Every function that
produces artefacts takes an `Opened` recipe, and only `open_project` makes one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from finetune.errors import InputError, RecipeError, ReleaseError
from finetune.messages import Problem, problem
from finetune.pipeline.internal_texts import refuse_outside
from finetune.sources.benchmark.pins import refuse_without_harness
from finetune.sources.lock import check_files, verify_lock
from finetune.spec.load import Project, load_project
from finetune.spec.permission import Terms, refuse_training, terms_of
from finetune.spec.tables.extras import refuse_missing_trackers
from finetune.spec.terms.refusals import refuse_forbidden_use

Purpose = Literal[
    "check",
    "plan",
    "estimate",
    "fetch",
    "prepare",
    "train",
    "evaluate",
    "run",
    "release",
    "publish",
    "submit",
    "bundle",
    "chat",
    "translate",
    "export",
    "report",
]
Need = Literal["files", "lock", "release"]

_FILES: frozenset[Need] = frozenset({"files", "lock"})
_RELEASE: frozenset[Need] = frozenset({"files", "lock", "release"})
NEEDS: Mapping[Purpose, frozenset[Need]] = {
    "check": _FILES,
    "plan": frozenset(),
    "estimate": frozenset(),
    "fetch": frozenset({"files"}),
    "prepare": _FILES,
    "train": _FILES,
    "evaluate": _FILES,
    "run": _FILES,
    "release": _RELEASE,
    "publish": _RELEASE,
    "submit": _FILES,
    "bundle": _FILES,
    "chat": frozenset(),
    "translate": frozenset(),
    "export": frozenset(),
    "report": frozenset(),
}
"""Purpose -> what it needs besides consent, permitted uses and licence, which each needs.

`files`: each file and package as pinned; without it nothing is made, what is in the store is read.
`lock`: nothing changed since it was locked; `fetch` renews the lock. `release`: a recipe that
releases something.
"""
_PUBLISHES: frozenset[Purpose] = frozenset({"check", "run", "submit", "release"})
"""Purposes after which the release goes where the recipe names; `publish` has options."""
MAKES: frozenset[Purpose] = frozenset(purpose for purpose in NEEDS if "files" in NEEDS[purpose])
"""The purposes for which something is made or queued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Project):
    """A recipe that passed the gate."""

    purpose: Purpose
    terms: Terms | None
    """Licence terms of the adapter; None if the recipe releases nothing."""


def open_project(
    path: Path, *, purpose: Purpose, overrides: Sequence[str] = (), today: date | None = None
) -> Opened:
    """Return the recipe at `path` with its cards, open for a purpose.

    `overrides` are `key=value` as given to --set; `today` is the day on which consent must hold.
    Raises RecipeError with everything that forbids the purpose; nothing is written or fetched.
    """
    project = load_project(path, overrides=overrides)
    day = today or date.today()
    problems = _of_training(project, today=day)
    terms = None
    forbidden = list(problems)
    with _gathered(problems):
        terms = terms_of(project.recipe, project.cards, today=day)
    if set(problems) - set(forbidden):
        problems.append(
            problem(
                "release-none-instead",
                "to train and evaluate without releasing anything, write `release: none`",
                at=project.at(("release",)),
            )
        )
    if project.recipe.is_released and purpose in _PUBLISHES:
        with _gathered(problems):
            refuse_outside(project.cards, project.recipe.publish)
    if "release" in NEEDS[purpose] and not project.recipe.is_released:
        problems.append(
            problem(
                "nothing-to-release",
                "is `none`, so there is nothing to release; name a repository: {example}",
                at=project.at(("release",)),
                example="`release: {repo: ORGANISATION/NAME}`",
            )
        )
    if "files" in NEEDS[purpose]:
        with _gathered(problems):
            check_files(project, only_installed=purpose == "check")
    if "lock" in NEEDS[purpose]:
        with _gathered(problems):
            verify_lock(project, only_installed=purpose == "check")
    if purpose in ("run", "train"):
        with _gathered(problems):
            refuse_missing_trackers(project.recipe.run.trackers)
    if purpose in ("run", "evaluate", "submit"):
        with _gathered(problems):
            refuse_without_harness(project.recipe)
    if problems:
        raise RecipeError(*dict.fromkeys(problems))
    return Opened(
        path=project.path,
        recipe=project.recipe,
        cards=project.cards,
        overrides=project.overrides,
        purpose=purpose,
        terms=terms,
    )


def _of_training(project: Project, *, today: date) -> list[Problem]:
    """Return everything that forbids to train at all, whatever becomes of the adapter."""
    problems: list[Problem] = []
    with _gathered(problems):
        refuse_training(project.cards, today=today)
    with _gathered(problems):
        at = project.at(("intended_use",))
        refuse_forbidden_use(project.recipe.intended_use, project.cards, at=at)
    return problems


def refuse_unopened(project: Project, *, purposes: Collection[Purpose] = MAKES) -> None:
    """Raise TypeError if a recipe is not open for one of `purposes`: a mistake of a program."""
    if not isinstance(project, Opened) or project.purpose not in purposes:
        raise TypeError(
            f"{project.path}: open the recipe with finetune.open_recipe(path, purpose=...), where "
            f"purpose is one of: {', '.join(sorted(purposes))}"
        )


@contextmanager
def _gathered(problems: list[Problem]) -> Iterator[None]:
    """Add the problems of a check to the others, so that all are shown at once."""
    try:
        yield
    except (InputError, ReleaseError) as error:  # the recipe asks for the release
        problems += error.problems
