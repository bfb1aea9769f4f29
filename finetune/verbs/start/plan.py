"""`finetune plan`: every step of a recipe with its key, its state and its path."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.estimate.mixture_table import show_mixtures
from finetune.output.console import Console
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store


def add_arguments(_: ArgumentParser) -> None:
    """It has no options of its own."""


def run(options: Namespace, console: Console) -> int:
    """Show every step with its key and state."""
    project = open_project(options.recipe, purpose="plan", overrides=options.overrides)
    store = Store(options.store.resolve())
    rows = []
    for step in steps_of(project):
        path = store.path_of(step.stage.name, step.key)
        rows.append((step.label, step.key, store.state(step.stage.name, step.key), str(path)))
    console.table(
        f"{project.recipe.name}: {options.recipe}", ("step", "key", "state", "path"), rows
    )
    show_mixtures(project, store=store, console=console)
    return 0
