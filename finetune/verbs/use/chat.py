"""`finetune chat`: base and adapter, answering side by side in the terminal."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.errors import StoreError
from finetune.output.console import Console
from finetune.pipeline import plan
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--only", choices=["base", "adapter"], help="one of the two; default: both")
    parser.add_argument("--max-tokens", type=int, default=96, help="length of an answer in tokens")
    parser.add_argument("--temperature", type=float, default=0.0, help="0: the likeliest token")


def run(options: Namespace, console: Console) -> int:
    """Talk to the base and the adapter of a recipe that was trained."""
    project = open_project(options.recipe, purpose="chat", overrides=options.overrides)
    store = Store(options.store.resolve())
    found = {}
    for step in plan.steps_up_to(project, "train"):
        artifact = store.find(step.stage.name, step.key)
        if artifact:
            found[step.stage.name] = artifact
    if "base" not in found or ("train" not in found and options.only != "base"):
        raise StoreError(
            f"{options.recipe}: not trained yet; first: finetune train {options.recipe}"
        )
    from finetune.chat.talk import Manner, talk

    recipe, prepare = project.recipe, project.recipe.prepare
    talk(
        found["base"].path / "model",
        None if options.only == "base" else found["train"].path / "adapter",
        console=console,
        manner=Manner(
            max_new_tokens=options.max_tokens,
            temperature=options.temperature,
            chat_template="plain" if prepare.layout == "plain" else prepare.chat_template,
            quantization=recipe.base.quantization,
            threads=recipe.run.threads,
        ),
        side_by_side=options.only is None,
    )
    return 0
