"""`finetune prepare`: packed sequences from data cards, and the report of the corpus."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.api.recipes import open_recipe
from finetune.api.recipes import run as run_recipe
from finetune.estimate.mixture_table import show_mixtures
from finetune.launch.ranks import ranks_of
from finetune.output.console import Console
from finetune.verbs.options import add_phase


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_phase(parser)


def run(options: Namespace, console: Console) -> int:
    """Run the stages up to `prepare`; show the data mixture."""
    project = open_recipe(options.recipe, purpose="prepare", overrides=options.overrides)
    made = run_recipe(
        project, until="prepare", phase=options.phase, store=options.store, console=console
    )
    if ranks_of().is_main:
        show_mixtures(project, store=made.store, console=console)
    path = made.path("prepare")
    console.say(f"prepare: {path}", path=str(path))
    return 0
