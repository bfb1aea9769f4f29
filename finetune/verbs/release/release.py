"""`finetune release`: the folder for a hub: adapter, model card, scores."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.api.recipes import open_recipe
from finetune.api.recipes import run as run_recipe
from finetune.output.console import Console


def add_arguments(_: ArgumentParser) -> None:
    """No options of its own."""


def run(options: Namespace, console: Console) -> int:
    """Run the stages up to `release`."""
    project = open_recipe(options.recipe, purpose="release", overrides=options.overrides)
    made = run_recipe(project, until="release", store=options.store, console=console)
    path = made.path("release")
    console.say(f"release: {path}", path=str(path))
    return 0
