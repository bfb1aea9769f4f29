"""`finetune merge`: base and adapter as one model folder."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.errors import StoreError
from finetune.output.console import Console
from finetune.pipeline import plan
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")


def run(options: Namespace, console: Console) -> int:
    """Write the adapter of a recipe, merged into its base, as a model folder."""
    project = open_project(options.recipe, purpose="merge", overrides=options.overrides)
    store = Store(options.store.resolve())
    done = {
        step.stage.name: store.find(step.stage.name, step.key)
        for step in plan.steps_up_to(project, "train")
    }
    base, train = done["base"], done["train"]
    if base is None or train is None:
        raise StoreError(
            f"{options.recipe}: not trained yet; first: finetune train {options.recipe}"
        )
    from finetune.release.exports.merged import merge

    if project.recipe.base.quantization != "none":
        console.say(
            f"the adapter was trained on a base in {project.recipe.base.quantization}; it is "
            "merged into the base's own weights, on which it acts slightly otherwise"
        )
    vocabulary = done.get("vocabulary")
    if vocabulary is not None and vocabulary.result["whole_words"]:
        console.say(
            "its tokenizer splits words by an expression of its own (vocabulary.words); runtimes "
            "with expressions built in, such as llama.cpp, would cut its language otherwise "
            "without saying so: for them train with `words: keep`"
        )
    found = merge(base.path / "model", train.path / "adapter", options.out)
    console.say(
        f"{found.folder}: base and adapter in one model of float32 weights; read back, its logits "
        f"differ by at most {found.difference:.1g} of the largest",
        path=str(found.folder),
        difference=found.difference,
        rows=found.rows,
    )
    if found.tokenizer_class != "AutoTokenizer":
        console.say(
            f"open its tokenizer with {found.tokenizer_class}.from_pretrained: for this type of "
            "model AutoTokenizer takes a class that splits text by itself and ignores how this "
            "tokenizer does"
        )
    return 0
