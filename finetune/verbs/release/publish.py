"""`finetune publish`: upload of a built release."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.api.recipes import not_built
from finetune.errors import StoreError
from finetune.output.console import Console
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.pipeline.withdrawals import refuse_lost_withdrawals


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be uploaded; upload nothing"
    )
    parser.add_argument(
        "--hub", choices=["directory", "huggingface"], help="hub (default: the recipe's)"
    )
    parser.add_argument(
        "--make-public",
        action="store_true",
        help="show it to everyone, also where it was private; it must pass the gates",
    )
    parser.add_argument(
        "--pull-request", action="store_true", help="open a pull request on the Hub; change nothing"
    )
    parser.add_argument(
        "--collection",
        action="store_true",
        help="add it to a collection of the Hub for each language, private if new",
    )
    parser.add_argument(
        "--force", action="store_true", help="also replace what others changed there"
    )


def run(options: Namespace, console: Console) -> int:
    """Upload a release that is in the store; build nothing."""
    project = open_project(options.recipe, purpose="publish", overrides=options.overrides)
    store = Store(options.store)
    refuse_lost_withdrawals(project.cards.values(), store)
    step = steps_of(project)[-1]
    release = store.find(step.stage.name, step.key)
    if release is None:
        raise StoreError(not_built(project, store=store, verb="run"))
    from finetune.release.publish import How, publish_release

    publish_release(
        project,
        release,
        store=store,
        console=console,
        hub=options.hub,
        how=How(
            dry_run=options.dry_run,
            force=options.force,
            pull_request=options.pull_request,
            make_public=options.make_public,
            collection=options.collection,
        ),
    )
    return 0
