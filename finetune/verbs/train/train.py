"""`finetune train`: the adapter."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.output.console import Console
from finetune.pipeline.execute import execute
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_up_to
from finetune.pipeline.store import Store
from finetune.verbs.options import add_phase


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_phase(parser)


def run(options: Namespace, console: Console) -> int:
    """Train the adapter, and do what that needs."""
    project = open_project(options.recipe, purpose="train", overrides=options.overrides)
    store = Store(options.store.resolve())
    steps = steps_up_to(project, "train", phase=options.phase)
    done = execute(project, steps, store=store, console=console)
    path = done["train"].path
    console.say(f"train: {path}", path=str(path))
    return 0
