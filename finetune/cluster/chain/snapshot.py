"""Snapshot of the inputs of a chain: the resolved recipe, its cards and files, its lock.

    project/recipe.json          the recipe with --set applied, paths absolute (JSON is YAML)
    project/recipe.lock.json     checksums of what was fetched, if the recipe has a lock
    project/versions.json        versions of the packages that affect results
    project/data_cards/          the cards, their withdrawal lists, and their files

Later changes to the recipe do not affect the jobs: every file is a copy with an inode of its own (a
reflink where the file system supports it), and no link that leaves its folder is followed.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, TypeVar

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
from finetune.spec.load import Project, load_recipe
from finetune.spec.recipe import Prepare, Recipe
from finetune.spec.sections.base_model import Base, is_hub_id
from finetune.spec.sections.compared_model import ComparedAdapter, ComparedModel
from finetune.spec.task_file import is_task_file
from finetune.spec.withdrawn import list_path

FOLDER, RECIPE, VERSIONS = "project", "recipe.json", "versions.json"
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


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


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe. Raises RecipeError if it is not read back unchanged."""
    text = json.dumps(recipe.model_dump(mode="json"), ensure_ascii=False, indent=1)
    text = _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    path.write_text(text + "\n", encoding="utf-8")
    if load_recipe(path) != recipe:
        raise RecipeError(
            problem(
                "changed-by-writing", "a value of the recipe changes when written", at=Place(path)
            )
        )


_Model = TypeVar("_Model", bound=Base)


def absolute(recipe: Recipe) -> Recipe:
    """Return the recipe with absolute paths for what jobs open; keys do not depend on them."""
    changes: dict[str, Any] = {}
    changes["base"] = _with_absolute_path(recipe.base)
    if recipe.prepare.identify.files or recipe.prepare.evaluation_sets:
        changes["prepare"] = _with_absolute_files(recipe.prepare)
    tasks = [_absolute(one) if is_task_file(one) else one for one in recipe.evaluate.tasks]
    models = [_with_absolute_paths(model) for model in recipe.evaluate.models]
    prompts = [_absolute(one) for one in recipe.evaluate.prompts or ()] or None
    asked = {"tasks": tasks, "models": models, "prompts": prompts}
    if asked != {name: getattr(recipe.evaluate, name) for name in asked}:
        changes["evaluate"] = recipe.evaluate.model_copy(update=asked)
    if recipe.judgements:
        judged = {"judgements": list(map(_absolute, recipe.judgements))}
        changes["release"] = recipe.released.model_copy(update=judged)
    first = recipe.training_phases[0].train
    if first.start_from is not None:
        train = first.model_copy(update={"start_from": _absolute(first.start_from)})
        if recipe.phases is None:
            changes["train"] = train
        else:
            phase = recipe.phases[0].model_copy(update={"train": train})
            changes["phases"] = [phase, *recipe.phases[1:]]
    return recipe.model_copy(update=changes)


def _with_absolute_paths(model: ComparedModel | ComparedAdapter) -> ComparedModel | ComparedAdapter:
    if isinstance(model, ComparedModel):
        model = _with_absolute_path(model)
    if model.adapter is None or is_hub_id(model.adapter):
        return model
    return model.model_copy(update={"adapter": _absolute(model.adapter)})


def _with_absolute_path(model: _Model) -> _Model:
    if model.kind not in ("gguf", "directory"):
        return model
    return model.model_copy(update={"model": _absolute(model.model)})


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


def _with_absolute_files(prepare: Prepare) -> Prepare:
    models = tuple(
        model
        if isinstance(model, str)
        else model.model_copy(update={"fasttext": _absolute(model.fasttext)})
        for model in prepare.identify.models
    )
    identify = prepare.identify.model_copy(update={"models": models})
    sets = [one.model_copy(update={"path": _absolute(one.path)}) for one in prepare.evaluation_sets]
    return prepare.model_copy(update={"identify": identify, "evaluation_sets": sets})


def _absolute(path: str) -> str:
    return str(as_written(home_filled_in(path)))


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
