"""`finetune fetch`: what a recipe needs from outside, and the lock beside it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.output.console import Console
from finetune.pipeline.execute import execute
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.sources.lock import entries


def add_arguments(_: ArgumentParser) -> None:
    """It has no options of its own."""


def run(options: Namespace, console: Console) -> int:
    """Get base and Hub corpora into the store, and write the lock beside the recipe."""
    from finetune.sources.fetch import write_lock

    project = open_project(options.recipe, purpose="fetch", overrides=options.overrides)
    store = Store(options.store.resolve())
    steps = tuple(s for s in steps_of(project) if s.stage.needs_network)
    execute(project, steps, store=store, console=console)
    lock = write_lock(options.recipe, entries(project))
    console.say(f"everything is here; checksums are in {lock}", lock=str(lock))
    return 0
