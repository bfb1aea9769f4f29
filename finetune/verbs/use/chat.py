"""`finetune chat`: conversation with base and adapter, side by side in the terminal."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.api.recipes import open_recipe, store_at
from finetune.api.trained import trained_artefacts
from finetune.output.console import Console


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "--only", choices=["base", "adapter"], help="one system (default: both, side by side)"
    )
    parser.add_argument(
        "--max-tokens", type=int, default=96, help="maximum new tokens per answer (default: 96)"
    )
    parser.add_argument(
        "--temperature", type=float, default=0.0, help="sampling temperature (default: 0, greedy)"
    )


def run(options: Namespace, console: Console) -> int:
    """Chat with base and adapter of a trained recipe."""
    project = open_recipe(options.recipe, purpose="chat", overrides=options.overrides)
    artefacts = trained_artefacts(project, store_at(options.store), adapter=options.only != "base")
    from finetune.chat.talk import Manner, talk

    recipe, prepare = project.recipe, project.recipe.prepare
    talk(
        artefacts["base"].path / "model",
        None if options.only == "base" else artefacts["train"].path / "adapter",
        console=console,
        manner=Manner(
            max_new_tokens=options.max_tokens,
            temperature=options.temperature,
            chat_template="plain" if prepare.layout == "plain" else prepare.chat_template,
            system_prompt=prepare.system_prompt,
            quantization=recipe.base.quantization,
            threads=recipe.run.threads,
        ),
        side_by_side=options.only is None,
    )
    return 0
