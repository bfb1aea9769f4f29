"""The gate: whether a recipe may be used for a purpose, decided in one place.

Consent, permitted uses, the licence of the release, files with their checksums, and the lock. No
stage is called: the rules stand in `spec`, the resolution of files in `sources`. What makes
something takes an `Opened` recipe, and only `open_project` makes one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from finetune.errors import InputError, RecipeError, ReleaseError
from finetune.sources.lock import check_files, verify_lock
from finetune.spec.load import Project, load_project
from finetune.spec.permission import Terms, refuse_training, terms_of

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
    "export",
]
Need = Literal["files", "release"]

_FILES: frozenset[Need] = frozenset({"files"})
_RELEASE: frozenset[Need] = frozenset({"files", "release"})
NEEDS: Mapping[Purpose, frozenset[Need]] = {
    "check": _FILES,
    "plan": frozenset(),
    "estimate": frozenset(),
    "fetch": _FILES,
    "prepare": _FILES,
    "train": _FILES,
    "evaluate": _FILES,
    "run": _FILES,
    "release": _RELEASE,
    "publish": _RELEASE,
    "submit": _FILES,
    "bundle": _FILES,
    "chat": frozenset(),
    "export": frozenset(),
}
"""Purpose -> what it needs besides consent, permitted uses and licence, which each needs.

`files`: each file and package as pinned, and the lock; without it nothing is made, what is in the
store is read. `release`: a recipe that releases something.
"""
MAKES: frozenset[Purpose] = frozenset(purpose for purpose in NEEDS if "files" in NEEDS[purpose])
"""The purposes for which something is made or queued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Project):
    """A recipe that passed the gate."""

    purpose: Purpose
    terms: Terms | None
    """What the adapter may be; None if the recipe releases nothing."""


def open_project(
    path: Path, *, purpose: Purpose, overrides: Sequence[str] = (), today: date | None = None
) -> Opened:
    """Return the recipe at `path` with its cards, open for a purpose.

    `overrides` are `key=value` as given to --set; `today` is the day on which consent must hold.
    Raises RecipeError with everything that forbids the purpose; nothing is written or fetched.
    """
    project = load_project(path, overrides=overrides)
    day = today or date.today()
    problems: list[str] = []
    terms = None
    with _gathered(problems):
        refuse_training(project.cards, today=day)
    forbidden = list(problems)
    with _gathered(problems):
        terms = terms_of(project.recipe, project.cards, today=day)
    if set(problems) - set(forbidden):
        problems.append(
            f"{project.where(('release',))}: release: to train and evaluate without releasing "
            "anything, write `release: none`"
        )
    if "release" in NEEDS[purpose] and not project.recipe.is_released:
        problems.append(
            f"{project.where(('release',))}: release: none, so there is nothing to release; name "
            "a repository: `release: {repo: ORGANISATION/NAME}`"
        )
    if "files" in NEEDS[purpose]:
        with _gathered(problems):
            check_files(project)
        with _gathered(problems):
            verify_lock(project)
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


def refuse_unopened(project: Project, *, purposes: Collection[Purpose] = MAKES) -> None:
    """Raise TypeError if a recipe is not open for one of `purposes`: a mistake of a program."""
    if not isinstance(project, Opened) or project.purpose not in purposes:
        raise TypeError(
            f"{project.path}: open the recipe with finetune.pipeline.gate.open_project, for one "
            f"of: {', '.join(sorted(purposes))}"
        )


@contextmanager
def _gathered(problems: list[str]) -> Iterator[None]:
    """Add the problems of a check to the others, so that all are said at once."""
    try:
        yield
    except InputError as error:
        problems += error.problems
    except ReleaseError as error:  # a mistake in the recipe that asks for the release
        problems += str(error).splitlines()
