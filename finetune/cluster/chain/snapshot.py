"""A chain's own copy of what it runs: the resolved recipe, its cards and files, its lock.

    project/recipe.json          the recipe with --set applied, paths absolute (JSON is YAML)
    project/recipe.lock.json     checksums of what was fetched, if the recipe has a lock
    project/versions.json        versions of the packages that decide results
    project/data_cards/          the cards, their withdrawal lists, and their files as hard links
                                 where the disk can

Whatever happens to the recipe after `finetune submit`, the jobs run what was submitted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError
from finetune.output.durable import write_json
from finetune.pipeline.store import environment
from finetune.sources import fetch
from finetune.sources.files import resolve_files
from finetune.spec.card import DataCard
from finetune.spec.load import Project, load_recipe
from finetune.spec.recipe import Prepare, Recipe
from finetune.spec.withdrawn import list_path

FOLDER, RECIPE, VERSIONS = "project", "recipe.json", "versions.json"
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def write_snapshot(project: Project, folder: Path, *, versions: bool) -> Path:
    """Write the snapshot into `folder`; return the path of the recipe in it.

    `versions`: whether jobs run with this Python, so that they must find the same versions.
    """
    folder.mkdir(parents=True)
    path = folder / RECIPE
    write_recipe(absolute(project.recipe), path)
    add_cards(project, folder)
    lock = fetch.lock_path(project.path)
    if lock.is_file():
        shutil.copyfile(lock, fetch.lock_path(path))
    if versions:
        write_json(folder / VERSIONS, environment()["packages"])
    return path


def add_cards(project: Project, folder: Path) -> None:
    """Copy the cards of a project, their withdrawal lists and files, where they are not yet."""
    cards = folder / "data_cards"
    cards.mkdir(exist_ok=True)
    for card in project.cards.values():
        if not (cards / card.path.name).exists():
            _copy_card(card, cards)


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe such that it is read back as it is. Raises RecipeError if it is not."""
    text = json.dumps(recipe.model_dump(mode="json"), ensure_ascii=False, indent=1)
    text = _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    path.write_text(text + "\n", encoding="utf-8")
    if load_recipe(path) != recipe:
        raise RecipeError(f"{path}: a value of the recipe is changed by writing it down")


def absolute(recipe: Recipe) -> Recipe:
    """Return the recipe with the paths that jobs open made absolute; no key depends on them."""
    changes: dict[str, Any] = {}
    if recipe.base.kind in ("gguf", "directory"):
        changes["base"] = recipe.base.model_copy(update={"model": _absolute(recipe.base.model)})
    if recipe.prepare.identify.files or recipe.prepare.evaluation_sets:
        changes["prepare"] = _with_absolute_files(recipe.prepare)
    first = recipe.stages_of_training[0].train
    if first.start_from is not None:
        train = first.model_copy(update={"start_from": _absolute(first.start_from)})
        if recipe.phases is None:
            changes["train"] = train
        else:
            phase = recipe.phases[0].model_copy(update={"train": train})
            changes["phases"] = [phase, *recipe.phases[1:]]
    return recipe.model_copy(update=changes)


def shortened(recipe: Recipe, *, steps: int) -> Recipe:
    """Return the recipe with trainings of at most so many steps."""

    def short(train: Any) -> Any:
        fewer = steps if train.max_steps is None else min(steps, train.max_steps)
        return train.model_copy(update={"max_steps": fewer, "epochs": None})

    if recipe.phases is None:
        return recipe.model_copy(update={"train": short(recipe.train)})
    phases = [p.model_copy(update={"train": short(p.train)}) for p in recipe.phases]
    return recipe.model_copy(update={"phases": phases})


def changed_versions(folder: Path) -> list[str]:
    """Say which packages have other versions here than where the chain was submitted."""
    path = folder / VERSIONS
    if not path.exists():
        return []
    now = environment()["packages"]
    then = json.loads(path.read_text("utf-8"))
    return [
        f"{name} is {now.get(name)} here and was {version} when submitting"
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
    return str(Path(path).expanduser().resolve())


def _copy_card(card: DataCard, cards: Path) -> None:
    shutil.copyfile(card.path, cards / card.path.name)
    if card.withdrawn:
        target = list_path(cards / card.path.name)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(list_path(card.path), target)
    if card.corpus.source.kind != "files":
        return
    for file in resolve_files(card, inputs={}):
        target = cards / file.name
        if target.exists():  # of another card
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file.path.resolve(), target)
        except OSError:  # another disk, or one without links
            shutil.copyfile(file.path, target)
