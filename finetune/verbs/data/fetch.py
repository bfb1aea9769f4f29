"""`finetune fetch`: download of base and corpora, and the lock file beside the recipe."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.pipeline.execute import execute
from finetune.pipeline.gate import open_project
from finetune.pipeline.plan import steps_of
from finetune.pipeline.store import Store
from finetune.sources.benchmark.pins import pinned
from finetune.sources.lock import entries


def add_arguments(_: ArgumentParser) -> None:
    """No options of its own."""


def run(options: Namespace, console: Console) -> int:
    """Download base and Hub corpora into the store; write the lock file beside the recipe.

    An earlier lock is renewed from the current recipe and cards, and its changes are shown.
    """
    from finetune.sources.lock_file import lock_changes, read_lock, write_lock

    project = open_project(options.recipe, purpose="fetch", overrides=options.overrides)
    store = Store(options.store)
    try:
        before = read_lock(options.recipe)
    except RecipeError as error:
        console.say(f"the lock is rewritten, because it could not be read: {error}")
        before = None
    if pins := pinned(project, before or {}):
        write_lock(options.recipe, {**(before or {}), **pins})  # keys of steps depend on them
    steps = tuple(s for s in steps_of(project) if s.stage.needs_network)
    execute(project, steps, store=store, console=console)
    now = entries(project)
    lock = write_lock(options.recipe, now)
    changes = list(lock_changes(before, now)) if before is not None else []
    for change in changes:
        console.say(f"  changed in the lock: {change}", changed=change)
    console.say(f"everything is in the store; checksums: {lock}", lock=str(lock))
    return 0
