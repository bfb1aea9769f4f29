"""`finetune chat`: conversation with base and adapter, side by side in the terminal."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from finetune.api.recipes import open_recipe, store_at
from finetune.api.trained import trained_artefacts
from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.output.console import Console
from finetune.pipeline.gate import Opened

if TYPE_CHECKING:
    from finetune.chat.talk import Manner, Template


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "--only", choices=["base", "adapter"], help="one system (default: both, side by side)"
    )
    parser.add_argument(
        "--adapter",
        action="append",
        default=[],
        dest="adapters",
        metavar="NAME=ADAPTER",
        help="another adapter on the same base (recipe, folder, or org/name), for /use NAME; "
        "repeatable",
    )
    parser.add_argument(
        "--prompt",
        choices=["recipe", "raw"],
        default="recipe",
        help="recipe: as the recipe trains and evaluates, a translation with its instruction "
        "(default); raw: the text as it is, to be continued",
    )
    parser.add_argument(
        "--from",
        dest="source",
        metavar="LANGUAGE",
        help="source of the translations that are asked for",
    )
    parser.add_argument(
        "--to", dest="target", metavar="LANGUAGE", help="their target (default: the recipe's first)"
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
    manner, store = _manner(options, project), store_at(options.store)
    if options.only == "base" and options.adapters:
        raise RecipeError(
            problem(
                "adapter-beside-base-alone",
                "--only base loads no adapter; leave one of them out",
                at=Place(key="--adapter"),
            )
        )
    artefacts = trained_artefacts(project, store, adapter=options.only != "base")
    from finetune.api.adapters.beside import adapters_beside
    from finetune.chat.talk import talk

    others = adapters_beside(
        options.adapters, project=project, base=artefacts["base"], store=store, console=console
    )

    talk(
        artefacts["base"].path / "model",
        None if options.only == "base" else artefacts["train"].path / "adapter",
        console=console,
        manner=manner,
        side_by_side=options.only is None,
        beside={name: source.adapter for name, source in others.items()},
    )
    return 0


def _manner(options: Namespace, project: Opened) -> Manner:
    """Return prompts and decoding of a chat. RecipeError for a direction that is not trained."""
    from finetune.chat.question import chosen_question
    from finetune.chat.talk import Manner

    recipe, prepare, question = project.recipe, project.recipe.prepare, None
    template: Template = "plain" if prepare.layout == "plain" else prepare.chat_template
    if options.prompt == "raw":
        if options.source or options.target:
            raise RecipeError(
                problem(
                    "direction-of-raw-prompt",
                    "chooses an instruction of the recipe, and --prompt raw has none; leave one of "
                    "them out",
                    at=Place(key="--to" if options.target else "--from"),
                )
            )
        template = None
    else:
        question = chosen_question(project, source=options.source, target=options.target)
    return Manner(
        max_new_tokens=options.max_tokens,
        temperature=options.temperature,
        chat_template=template,
        system_prompt=prepare.system_prompt,
        question=question,
        quantization=recipe.base.quantization,
        threads=recipe.run.threads,
    )
