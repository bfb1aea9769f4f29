"""`finetune evaluate`: base and adapter on held-out texts."""

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
    """Evaluate base and adapter, and do what that needs; show the scores."""
    project = open_project(options.recipe, purpose="evaluate", overrides=options.overrides)
    store = Store(options.store.resolve())
    steps = steps_up_to(project, "evaluate")
    done = execute(project, steps, store=store, console=console)
    from finetune.evaluate.score_table import show_scores

    show_scores(done["evaluate"].result, console=console)
    path = done["evaluate"].path
    console.say(f"evaluate: {path}", path=str(path))
    return 0
