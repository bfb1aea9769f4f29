"""Data of public tasks: data sets of the Hub, pinned by the lock, one Parquet file per split.

A task names a data set and no commit. `finetune fetch` writes the newest commit into the lock when
the task is new there; from then on that commit counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from finetune.errors import RecipeError
from finetune.messages import problem, sentence
from finetune.sources.lock_file import read_lock
from finetune.spec.load import Project
from finetune.spec.recipe import Recipe
from finetune.spec.tables.extras import lacking, missing, pip_line
from finetune.spec.tables.public_tasks import HARNESS, PACKAGE, VERSION, PublicTask
from finetune.spec.tables.task import TASKS
from finetune.spec.task_file import harness_task

STAGE = "benchmark"


def role_of(task: PublicTask) -> str:
    """Return the name of a task's data, in the lock and among the inputs of `evaluate`."""
    return f"{STAGE}:{task.dataset}:{task.config}" if task.config else f"{STAGE}:{task.dataset}"


def named_tasks(recipe: Recipe) -> dict[str, PublicTask]:
    """Return a task of the harness for each data set that a recipe needs, by `role_of`."""
    names = (name for name in recipe.evaluate.tasks if name not in TASKS)
    found = [task for task in map(harness_task, names) if task is not None]
    return {role_of(task): task for task in found}


def locked(project: Project) -> dict[str, dict[str, Any]]:
    """Return the entries of the lock for the data of a recipe's tasks."""
    named = named_tasks(project.recipe)
    entries = read_lock(project.path) if named else None
    return {role: entry for role, entry in (entries or {}).items() if role in named}


def pinned(project: Project, known: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return an entry for all of them: what is known, else the newest commit.

    Raises InputError or StoreError as a download does.
    """
    from finetune.sources.benchmark.download import newest  # with the Hub's client

    return {
        role: known.get(role) or newest(task.dataset, task.config)
        for role, task in named_tasks(project.recipe).items()
    }


def refuse_without_harness(recipe: Recipe) -> None:
    """Raise an error where a recipe has tasks of the harness and its pinned version is not here."""
    for task in named_tasks(recipe).values():
        needed_by = sentence("evaluate.tasks: {task}", task=task.name)
        if lacking("tasks"):
            raise missing(PACKAGE, needed_by=needed_by, extra="tasks")
        if (there := version(PACKAGE)) != VERSION:
            raise RecipeError(
                problem(
                    "other-harness",
                    "{needed_by} is of {harness}, and version {there} is installed; {command}",
                    needed_by=needed_by,
                    harness=HARNESS,
                    there=there,
                    command=pip_line("tasks"),
                )
            )


def contents(project: Project) -> dict[str, Mapping[str, Any]]:
    """Return what the data of each task are made of; without a commit where none is locked."""
    known = locked(project)
    return {
        role: {
            "dataset": task.dataset,
            "config": task.config,
            "revision": known.get(role, {}).get("revision"),
        }
        for role, task in named_tasks(project.recipe).items()
    }
