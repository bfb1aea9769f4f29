"""`finetune unbundle`: a bundle, verified and put where it is used."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.cluster.bundle.bundle import unpack
from finetune.output.console import Console
from finetune.pipeline.store import Store


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "bundle", type=Path, help="what `finetune bundle` wrote: folder or tar file"
    )
    parser.add_argument("--into", type=Path, metavar="DIR", help="new folder for recipe and cards")


def run(options: Namespace, console: Console) -> int:
    """Verify a bundle and put it where it is used."""
    store = Store(options.store.resolve())
    done = unpack(options.bundle, store=store, into=options.into)
    for name in done.added:
        console.say(f"{name}: put into {store.root}", artifact=name, state="added")
    for name in done.present:
        console.say(f"{name}: was there before", artifact=name, state="present")
    folder = done.recipe.parents[1]
    recipe = done.recipe.relative_to(folder)
    console.say(f"next: cd {folder} && finetune check {recipe}", recipe=str(done.recipe))
    return 0
