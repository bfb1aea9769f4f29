"""`finetune evaluate`: scores of base and adapter on the test split."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.api.recipes import open_recipe
from finetune.api.recipes import run as run_recipe
from finetune.api.shown_gates import gates_of_run, show_gates
from finetune.artefacts.results import EvaluateResult, read_result
from finetune.output.console import Console


def add_arguments(_: ArgumentParser) -> None:
    """No options of its own."""


def run(options: Namespace, console: Console) -> int:
    """Run the stages up to `evaluate`; show the scores."""
    project = open_recipe(options.recipe, purpose="evaluate", overrides=options.overrides)
    made = run_recipe(project, until="evaluate", store=options.store, console=console)
    from finetune.evaluate.score_table import show_scores

    gates = gates_of_run(made)
    evaluated = read_result(made.artefact("evaluate"), EvaluateResult)
    show_scores(evaluated, gates=gates, console=console)
    show_gates(gates, console=console)
    path = made.path("evaluate")
    console.say(f"evaluate: {path}", path=str(path))
    return 0
