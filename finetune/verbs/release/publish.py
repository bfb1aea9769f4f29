"""`finetune publish`: a built release, uploaded."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.errors import StoreError
from finetune.output.console import Console
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would go up, send nothing"
    )
    parser.add_argument(
        "--hub", choices=["directory", "huggingface"], help="instead of the recipe's"
    )


def run(options: Namespace, console: Console) -> int:
    """Upload the release that was built; builds nothing itself."""
    project = open_project(options.recipe, purpose="publish", overrides=options.overrides)
    store = Store(options.store.resolve())
    step = steps_of(project)[-1]
    release = store.find(step.stage.name, step.key)
    if release is None:
        raise StoreError(
            f"{options.recipe}: not released yet; first: finetune run {options.recipe}"
        )
    from finetune.release.publish import publish_release

    publish_release(
        project,
        release,
        store=store,
        console=console,
        hub=options.hub,
        dry_run=options.dry_run,
    )
    return 0
