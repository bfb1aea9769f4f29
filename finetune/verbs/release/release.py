"""`finetune release`: the folder that goes to a hub."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.output.console import Console
from finetune.pipeline.execute import execute
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_up_to
from finetune.pipeline.store import Store


def add_arguments(_: ArgumentParser) -> None:
    """It has no options of its own."""


def run(options: Namespace, console: Console) -> int:
    """Build the release, and do what that needs."""
    project = open_project(options.recipe, purpose="release", overrides=options.overrides)
    store = Store(options.store.resolve())
    steps = steps_up_to(project, "release")
    done = execute(project, steps, store=store, console=console)
    path = done["release"].path
    console.say(f"release: {path}", path=str(path))
    return 0
