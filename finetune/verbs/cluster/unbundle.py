"""`finetune unbundle`: verification and unpacking of a bundle."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.cluster.bundle.instructions import argument, set_options, shell_word
from finetune.cluster.bundle.unpack import unpack
from finetune.output.console import Console
from finetune.pipeline.store import Store


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("bundle", type=Path, help="folder or tar file from `finetune bundle`")
    parser.add_argument(
        "--into",
        type=Path,
        metavar="DIR",
        help="new folder for recipe and cards (default: named like the recipe)",
    )


def run(options: Namespace, console: Console) -> int:
    """Verify a bundle; add its artefacts to the store and its project to a new folder."""
    store = Store(options.store)
    done = unpack(options.bundle, store=store, into=options.into, waiting=console.say)
    for name in done.added:
        console.say(f"{name}: added to {store.root}", artifact=name, state="added")
    for name in done.present:
        console.say(f"{name}: already in the store", artifact=name, state="present")
    for name in done.other:
        console.say(
            f"{name}: already in the store with other files, unchanged; to take those of the "
            f"bundle: finetune runs --store {shell_word(str(store.root))} --remove {name}, "
            "then unbundle again into another folder",
            artifact=name,
            state="other",
        )
    check = f"finetune check {argument(done.recipe)}{set_options(done.overrides)}"
    console.say(
        f"next: cd {argument(str(done.folder))} && {check}",
        recipe=str(done.folder / done.recipe),
    )
    return 0
