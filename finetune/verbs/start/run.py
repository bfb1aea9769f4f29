"""`finetune run`: every stage of a recipe that is not in the store."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace

from finetune.artefacts.job import Artifact
from finetune.launch.ranks import ranks_of
from finetune.output.console import Console
from finetune.pipeline.execute import execute
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store, default_store


def add_arguments(_: ArgumentParser) -> None:
    """It has no options of its own."""


def run(options: Namespace, console: Console) -> int:
    """Do everything, publish to the recipe's hub, and say what to type next."""
    project = open_project(options.recipe, purpose="run", overrides=options.overrides)
    store = Store(options.store.resolve())
    done = execute(project, steps_of(project), store=store, console=console)
    if not ranks_of().is_main:
        return 0
    place = None
    if project.recipe.is_released:
        from finetune.release.publish import publish_release

        place = publish_release(project, done["release"], store=store, console=console)
    _summary(options, done, place=place, console=console)
    return 0


def _summary(
    options: Namespace, done: dict[str, Artifact], *, place: str | None, console: Console
) -> None:
    """Say where everything is (`place`: the release, if there is one), and what to type next."""
    from finetune.evaluate.score_table import show_scores

    show_scores(done["evaluate"].result, console=console)
    corpus_report = done["prepare"].path / "report.html"
    report = done["evaluate"].path / "report.html"
    console.say(f"corpus report   {corpus_report}", corpus_report=str(corpus_report))
    console.say(f"results report  {report}", report=str(report))
    adapter = place or str(done["train"].path / "adapter")
    console.say(f"adapter         {adapter}", adapter=adapter)
    same = _as_typed(options)
    console.say(f"talk to it      finetune chat {same}")
    if place is None:
        console.say("nothing is released, as the recipe says (release: none)", released=False)
    else:
        console.say(f"put it online   finetune publish {same} --hub huggingface --dry-run")
    console.say(f"on a cluster    finetune submit {same} --site slurm/sites/SITE.yaml --dry-run")


def _as_typed(options: Namespace) -> str:
    """Return the recipe with the options that decide which artefacts are meant, for a shell."""
    words = [str(options.recipe)]
    for override in options.overrides:
        words += ["--set", override]
    if options.store != default_store():
        words += ["--store", str(options.store)]
    return shlex.join(words)
