"""Snapshot of the inputs of a chain: the resolved recipe, its cards and files, its lock.

    project/recipe.json          the recipe with --set applied, paths absolute (JSON is YAML)
    project/recipe.lock.json     checksums of what was fetched, if the recipe has a lock
    project/versions.json        versions of the packages that affect results
    project/data_cards/          the cards, their withdrawal lists, and their files

Later changes to the recipe do not affect the jobs: every file is a copy with an inode of its own (a
reflink where the file system supports it), and no link that leaves its folder is followed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.output.copy_file import copy_file
from finetune.output.durable import write_json
from finetune.output.paths import as_written, home_filled_in, is_absent
from finetune.output.small_files import UnreadableError, read_json
from finetune.pipeline.manifest import environment
from finetune.sources.files import resolve_files
from finetune.sources.lock_file import lock_path
from finetune.spec.card import DataCard
from finetune.spec.load import Project
from finetune.spec.recipe import Recipe
from finetune.spec.resolved import with_local_paths, write_recipe
from finetune.spec.withdrawn import list_path

FOLDER, RECIPE, VERSIONS = "project", "recipe.json", "versions.json"


def write_snapshot(project: Project, folder: Path, *, versions: bool) -> Path:
    """Write the snapshot into `folder`; return the path of its recipe.

    `versions`: record package versions, because jobs run with this Python.
    """
    folder.mkdir(parents=True)
    path = folder / RECIPE
    write_recipe(absolute(project.recipe), path)
    add_cards(project, folder)
    copy_lock(project, path)
    if versions:
        write_json(folder / VERSIONS, environment()["packages"])
    return path


def copy_lock(project: Project, recipe: Path) -> None:
    """Copy the lock of a project, if it has one, to where the lock of another recipe is."""
    lock = lock_path(project.path)
    if os.path.lexists(lock):
        copy_inside(lock, lock_path(recipe), root=project.path.parent)


def add_cards(project: Project, folder: Path) -> None:
    """Copy the cards of a project, their withdrawal lists and files; skip existing ones."""
    cards = folder / "data_cards"
    cards.mkdir(exist_ok=True)
    for card in project.cards.values():
        if not (cards / card.path.name).exists():
            _copy_card(card, cards)


def copy_inside(source: Path, target: Path, *, root: Path) -> None:
    """Copy a file of the folder `root`; refuse links that leave it.

    Raises:
        RecipeError: it leaves `root`, is not a regular file, or cannot be read.
        OSError: `target` exists or cannot be written.
    """
    try:
        real = source.resolve(strict=True)
        inside = real.is_relative_to(root.resolve())
        odd = not real.is_file()
    except (OSError, RuntimeError):  # missing, or a link to itself
        raise RecipeError(
            problem("dangling-link", "is a link to no file; put the file there", at=Place(source))
        ) from None
    if not inside:
        raise RecipeError(
            problem(
                "link-leaves-folder",
                "is a link that leaves {folder}, to {target}; put a copy of the file there instead",
                at=Place(source),
                folder=root,
                target=real,
            )
        )
    if odd:
        raise RecipeError(
            problem("not-a-file", "is not a regular file; put the file there", at=Place(source))
        )
    if not os.access(real, os.R_OK):
        raise RecipeError(
            problem("unreadable-file", "cannot be read; put the file there", at=Place(source))
        )
    copy_file(real, target)


def absolute(recipe: Recipe) -> Recipe:
    """Return the recipe with absolute paths for what jobs open; keys do not depend on them."""
    return with_local_paths(recipe, lambda _, path: str(as_written(home_filled_in(path))))


def shortened(recipe: Recipe, *, steps: int) -> Recipe:
    """Return the recipe with training runs of at most `steps` steps."""

    def short(train: Any) -> Any:
        fewer = steps if train.max_steps is None else min(steps, train.max_steps)
        return train.model_copy(update={"max_steps": fewer, "epochs": None})

    if recipe.phases is None:
        return recipe.model_copy(update={"train": short(recipe.train)})
    phases = [p.model_copy(update={"train": short(p.train)}) for p in recipe.phases]
    return recipe.model_copy(update={"phases": phases})


def changed_versions(folder: Path) -> list[str]:
    """Return the packages whose versions differ from those at submission."""
    path = folder / VERSIONS
    if not path.exists():
        return []
    now = environment()["packages"]
    try:
        then = read_json(path, dict[str, str])
    except UnreadableError as error:
        return [f"{path}: {error}"]
    return [
        f"{name} is {now.get(name)} here and was {version} at submission"
        for name, version in then.items()
        if now.get(name) != version
    ]


def _copy_card(card: DataCard, cards: Path) -> None:
    root = card.path.parent
    copy_inside(card.path, cards / card.path.name, root=root)
    if not is_absent(list_path(card.path)):
        target = list_path(cards / card.path.name)
        target.parent.mkdir(exist_ok=True)
        copy_inside(list_path(card.path), target, root=root)
    if card.corpus.source.kind != "files":
        return
    for file in resolve_files(card, inputs={}):
        target = cards / file.name
        if not target.exists():  # shared with another card
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_inside(file.path, target, root=root)
