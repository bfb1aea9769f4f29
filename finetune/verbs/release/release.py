"""`finetune release`: the folder that goes to a hub."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.output.console import Console
from finetune.pipeline import plan
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store


def add_arguments(_: ArgumentParser) -> None:
    """It has no options of its own."""


def run(options: Namespace, console: Console) -> int:
    """Build the release, and do what that needs."""
    project = open_project(options.recipe, overrides=options.overrides)
    store = Store(options.store.resolve())
    steps = plan.steps_up_to(project, "release")
    done = plan.execute(project, steps, store=store, console=console)
    path = done["release"].path
    console.say(f"release: {path}", path=str(path))
    return 0
