"""`finetune bundle`: an archive of everything a recipe needs, for air-gapped clusters."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from finetune.cluster.bundle.bundle import Contents, write_bundle
from finetune.output.console import Console
from finetune.pipeline.execute import execute
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import Step, steps_of
from finetune.pipeline.store import Store
from finetune.sources.lock import entries
from finetune.sources.lock_file import write_lock
from finetune.spec.sections.compared_model import COMPARED, is_local
from finetune.spec.site import load_site


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="PATH",
        help="new folder, or a file NAME.tar",
    )
    parser.add_argument("--site", type=Path, metavar="FILE", help="include this site file")
    parser.add_argument("--without-wheels", action="store_true", help="leave packages out")
    parser.add_argument(
        "--skip-wheel",
        action="append",
        default=[],
        metavar="PATTERN",
        help="omit a package that the cluster has, e.g. torch or 'nvidia-*'; repeatable",
    )
    parser.add_argument(
        "--own-use",
        action="store_true",
        help="no one else gets the bundle; needed where a card forbids copies of its texts",
    )


def _compared(step: Step) -> str | None:
    """Return the name of the compared model that a step makes; None for the base."""
    name: str | None = step.content["content"].get(COMPARED)
    return name


def run(options: Namespace, console: Console) -> int:
    """Fetch what the recipe needs, and pack it with recipe, cards, site and wheels."""
    project = open_project(options.recipe, purpose="bundle", overrides=options.overrides)
    if options.site is not None:
        load_site(options.site)
    store = Store(options.store)
    steps = tuple(s for s in steps_of(project) if s.stage.needs_network)
    # files of local models are copied, and read again on the cluster
    models = (project.recipe.base, *project.recipe.evaluate.models)
    local = {getattr(model, "name", None) for model in models if is_local(model)}
    steps = tuple(s for s in steps if s.stage.name != "base" or _compared(s) not in local)
    execute(project, steps, store=store, console=console)
    write_lock(options.recipe, entries(project))
    contents = Contents(
        project=project,
        steps=steps,
        store=store,
        site=options.site,
        wheels=not options.without_wheels,
        skip_wheels=tuple(options.skip_wheel),
        overrides=tuple(options.overrides),
        own_use=options.own_use,
    )
    if contents.wheels and not console.json_lines:
        console.say("downloading wheels; several GB with a CUDA build of torch ...")
    size_bytes = write_bundle(options.output, contents, waiting=console.say)
    console.say(
        f"wrote {options.output}, {size_bytes / 2**20:,.1f} MiB; see README.md in it to unpack",
        path=str(options.output),
        bytes=size_bytes,
    )
    return 0
