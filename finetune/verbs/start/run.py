"""`finetune run`: execution of every stage of a recipe that is not cached."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from finetune.api.made import Run
from finetune.api.recipes import open_recipe
from finetune.api.recipes import run as run_recipe
from finetune.api.shown_gates import gates_of_run, show_gates
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.gates.table import barring
from finetune.artefacts.results import EvaluateResult, read_result
from finetune.launch.ranks import ranks_of
from finetune.messages import sentence
from finetune.output.console import Console
from finetune.output.paths import is_folder
from finetune.pipeline.store_folder import named_store
from finetune.verbs.options import add_accept_versions
from finetune.verbs.train.train import show_curves


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    add_accept_versions(parser)


def run(options: Namespace, console: Console) -> int:
    """Run all stages, publish to a folder or privately, and show the next commands."""
    project = open_recipe(options.recipe, overrides=options.overrides)
    made = run_recipe(project, store=options.store, console=console)
    if not ranks_of().is_main:
        return 0
    place = None
    if project.recipe.is_released:
        from finetune.release.publish import publish_release

        place = publish_release(
            project, made.artefact("release"), store=made.store, console=console
        )
    _summary(options, made, place=place, console=console)
    return 0


def _summary(options: Namespace, made: Run, *, place: str | None, console: Console) -> None:
    """Show the paths of the results and the next commands; `place`: of the release, if any."""
    from finetune.evaluate.score_table import show_scores

    gates = gates_of_run(made)
    evaluated = read_result(made.artefact("evaluate"), EvaluateResult)
    show_scores(evaluated, gates=gates, console=console)
    show_gates(gates, console=console)
    corpus_report = made.report("prepare")
    report = made.report("evaluate" if place is None else "release")  # with the recipe's gates
    console.say(
        sentence("corpus report   {path}", path=corpus_report), corpus_report=str(corpus_report)
    )
    console.say(sentence("results report  {path}", path=report), report=str(report))
    show_curves(made, console)
    adapter = place or str(made.path("train") / "adapter")
    console.say(sentence("adapter         {path}", path=adapter), adapter=adapter)
    same = _as_typed(options)
    chat = f"finetune chat {same}"
    console.say(sentence("chat            {command}", command=chat))
    if place is None:
        console.say(sentence("no release (release: none)"), released=False)
    else:
        _say_how_to_publish(made, same, gates=gates, console=console)
    site = "slurm/sites/SITE.yaml" if is_folder(Path("slurm/sites")) else "SITE.yaml"
    submit = f"finetune submit {same} --site {site} --dry-run"
    console.say(sentence("on a cluster    {command}", command=submit))


def _say_how_to_publish(
    made: Run, same: str, *, gates: Sequence[GateResult], console: Console
) -> None:
    """Show the command that publishes, and where the recipe asks for it publicly, what bars it."""
    from finetune.release.publish import is_public

    public = is_public(made.recipe.recipe.publish)
    barred = list(dict.fromkeys(result.gate for result in barring(gates)))
    if public:
        console.say(
            sentence(
                "`publish.private` is false, but `finetune run` makes nothing public: the release "
                "went to a folder"
            ),
            public=False,
        )
    if public and barred:
        console.say(
            sentence("a public release is refused; gates not passed: {gates}", gates=barred),
            barred=barred,
        )
    publish = f"finetune publish {same} --dry-run"
    if not public:
        publish = f"finetune publish {same} --hub huggingface --dry-run"
    console.say(sentence("publish         {command}", command=publish))


def _as_typed(options: Namespace) -> str:
    """Return recipe, --set and --store as words for a shell."""
    words = [str(options.recipe)]
    for override in options.overrides:
        words += ["--set", override]
    return shlex.join([*words, *named_store(options.store)])
