"""`finetune plan`: the stages of a recipe with key, state and path."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.api.recipes import open_recipe, plan, store_at
from finetune.estimate.mixture_table import show_mixtures
from finetune.output.console import Console


def add_arguments(_: ArgumentParser) -> None:
    """No options of its own."""


def run(options: Namespace, console: Console) -> int:
    """Show every stage with key and state, and the damage of damaged artefacts."""
    project = open_recipe(options.recipe, purpose="plan", overrides=options.overrides)
    stages = plan(project, store=options.store)
    columns = ("stage", "key", "state", "path")
    rows = [(stage.label, stage.key, stage.state, str(stage.path)) for stage in stages]
    facts = (dict(zip(columns, row, strict=True)) for row in rows)
    title = f"{project.recipe.name}: {options.recipe}"
    console.table(title, columns, rows, name="stages", facts=facts)
    damages = [stage.damage for stage in stages if stage.damage]
    for damage in damages:
        console.say(damage, damaged=damage)
    if not damages:
        show_mixtures(project, store=store_at(options.store), console=console)
    return 0
