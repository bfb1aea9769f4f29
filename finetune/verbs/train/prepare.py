"""`finetune prepare`: packed sequences from data cards, and the report of the corpus."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.estimate.mixture_table import show_mixtures
from finetune.launch.ranks import ranks_of
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
    """Prepare what the recipe trains on, and what that needs; show the data mixture."""
    project = open_project(options.recipe, purpose="prepare", overrides=options.overrides)
    store = Store(options.store.resolve())
    steps = steps_up_to(project, "prepare", phase=options.phase)
    done = execute(project, steps, store=store, console=console)
    if ranks_of().is_main:
        show_mixtures(project, store=store, console=console)
    path = done["prepare"].path
    console.say(f"prepare: {path}", path=str(path))
    return 0
