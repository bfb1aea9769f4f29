"""The gate: a recipe is opened here before anything is made from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from finetune.sources.lock import check_files, verify_lock
from finetune.spec.load import Project, load_project
from finetune.spec.permission import refuse_training


def open_project(path: Path, *, overrides: Sequence[str] = ()) -> Project:
    """Return the recipe with its cards, each file as pinned, each card open for training now.

    Raises RecipeError or DataError with what is wrong.
    """
    project = load_project(path, overrides=overrides)
    refuse_training(project.cards, today=date.today())
    check_files(project)
    verify_lock(project)
    return project
