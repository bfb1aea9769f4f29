"""Resolved recipes: with other local paths, and written so that they read back unchanged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.spec.load import load_recipe
from finetune.spec.recipe import Prepare, Recipe
from finetune.spec.sections.base_model import Base, is_hub_id
from finetune.spec.sections.compared_model import ComparedAdapter, ComparedModel
from finetune.spec.sections.mixture import DataMixture
from finetune.spec.task_file import is_task_file

Change = Callable[[str, str], str]
"""Key of a path in the recipe, and the path -> the path that stands there instead."""
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_OF_A_METHOD = frozenset({"temperature", "weights", "max_epochs"})
"""Keys of a mixture that must not be written where no method reads them."""
_Model = TypeVar("_Model", bound=Base)


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe as JSON, which is YAML.

    Raises RecipeError if it is not read back unchanged.
    """
    path.write_text(recipe_text(recipe), encoding="utf-8")
    if load_recipe(path) != recipe:
        raise RecipeError(
            problem(
                "changed-by-writing", "a value of the recipe changes when written", at=Place(path)
            )
        )


def recipe_text(recipe: Recipe) -> str:
    """Return a recipe with all its defaults as JSON, which is YAML."""
    return as_text(recipe_values(recipe))


def as_text(values: Any) -> str:
    """Return JSON that YAML reads as the same values."""
    text = json.dumps(values, ensure_ascii=False, indent=1)
    return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe with all its defaults as plain values."""
    values = recipe.model_dump(mode="json")
    sections: list[tuple[dict[str, Any], DataMixture | None]] = [(values, recipe.mixture)]
    sections += zip(
        values["phases"] or (), (phase.mixture for phase in recipe.phases or ()), strict=True
    )
    for section, mixture in sections:
        if mixture is not None:
            section["mixture"] = _mixture_values(mixture)
    return values


def _mixture_values(mixture: DataMixture) -> dict[str, Any]:
    values = mixture.model_dump(mode="json")
    unread = _OF_A_METHOD - mixture.model_fields_set
    return {key: value for key, value in values.items() if key not in unread} | {
        "curriculum": [
            step.model_dump(mode="json", exclude_unset=True) for step in mixture.curriculum
        ]
    }


def with_local_paths(recipe: Recipe, change: Change) -> Recipe:
    """Return the recipe with other paths for the files and folders that it names.

    No key depends on them: what is there counts by its checksum. Neither cards nor `publish` are
    looked at.
    """
    changes: dict[str, Any] = {"base": _with_place(recipe.base, change, key="base")}
    changes["prepare"] = _with_files(recipe.prepare, change)
    tasks = [
        change(f"evaluate.tasks[{number}]", one) if is_task_file(one) else one
        for number, one in enumerate(recipe.evaluate.tasks)
    ]
    models = [
        _with_places(model, change, key=f"evaluate.models[{number}]")
        for number, model in enumerate(recipe.evaluate.models)
    ]
    prompts = [
        change(f"evaluate.prompts[{number}]", one)
        for number, one in enumerate(recipe.evaluate.prompts or ())
    ]
    asked = {"tasks": tasks, "models": models, "prompts": prompts or None}
    if asked != {name: getattr(recipe.evaluate, name) for name in asked}:
        changes["evaluate"] = recipe.evaluate.model_copy(update=asked)
    if recipe.judgements:
        judged = [
            change(f"release.judgements[{number}]", one)
            for number, one in enumerate(recipe.judgements)
        ]
        changes["release"] = recipe.released.model_copy(update={"judgements": judged})
    return recipe.model_copy(update=changes | _with_start(recipe, change))


def _with_start(recipe: Recipe, change: Change) -> dict[str, Any]:
    first = recipe.training_phases[0].train
    if first.start_from is None:
        return {}
    key = "train.start_from" if recipe.phases is None else "phases[0].train.start_from"
    train = first.model_copy(update={"start_from": change(key, first.start_from)})
    if recipe.phases is None:
        return {"train": train}
    return {"phases": [recipe.phases[0].model_copy(update={"train": train}), *recipe.phases[1:]]}


def _with_places(
    model: ComparedModel | ComparedAdapter, change: Change, *, key: str
) -> ComparedModel | ComparedAdapter:
    if isinstance(model, ComparedModel):
        model = _with_place(model, change, key=key)
    if model.adapter is None or is_hub_id(model.adapter):
        return model
    return model.model_copy(update={"adapter": change(f"{key}.adapter", model.adapter)})


def _with_place(model: _Model, change: Change, *, key: str) -> _Model:
    if model.kind not in ("gguf", "directory"):
        return model
    return model.model_copy(update={"model": change(f"{key}.model", model.model)})


def _with_files(prepare: Prepare, change: Change) -> Prepare:
    if not (prepare.identify.files or prepare.evaluation_sets):
        return prepare
    models = tuple(
        model
        if isinstance(model, str)
        else model.model_copy(
            update={"fasttext": change(f"prepare.identify.models[{number}]", model.fasttext)}
        )
        for number, model in enumerate(prepare.identify.models)
    )
    identify = prepare.identify.model_copy(update={"models": models})
    sets = [
        one.model_copy(update={"path": change(f"prepare.evaluation_sets[{number}]", one.path)})
        for number, one in enumerate(prepare.evaluation_sets)
    ]
    return prepare.model_copy(update={"identify": identify, "evaluation_sets": sets})
