"""`finetune train`: training of the adapter."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace

from finetune.api.made import Run
from finetune.api.recipes import open_recipe
from finetune.api.recipes import run as run_recipe
from finetune.launch.ranks import ranks_of
from finetune.messages import sentence
from finetune.output.console import Console
from finetune.output.paths import is_folder
from finetune.verbs.options import add_accept_versions, add_phase


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_phase(parser)
    add_accept_versions(parser)


def run(options: Namespace, console: Console) -> int:
    """Run the stages up to `train`."""
    project = open_recipe(options.recipe, purpose="train", overrides=options.overrides)
    made = run_recipe(
        project, until="train", phase=options.phase, store=options.store, console=console
    )
    path = made.path("train")
    console.say(f"train: {path}", path=str(path))
    if ranks_of().is_main:
        show_curves(made, console)
    return 0


def show_curves(made: Run, console: Console) -> None:
    """Show where the curves of a training run are, and how they are opened."""
    folder = made.path("train")
    console.say(
        sentence("loss curve      {path}", path=folder / "loss.png"),
        metrics=str(folder / "metrics.jsonl"),
    )
    if is_folder(folder / "tensorboard"):
        command = shlex.join(["tensorboard", "--logdir", str(folder / "tensorboard")])
        console.say(sentence("all curves      {command}", command=command))
