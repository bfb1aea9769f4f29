"""Verbs for clusters that reach nothing: bundle here, unbundle there."""

from __future__ import annotations

from argparse import Namespace

from finetune.cluster.bundle.bundle import Contents, unpack, write_bundle
from finetune.output.console import Console
from finetune.pipeline import plan
from finetune.pipeline.store import Store
from finetune.sources import fetch as fetching
from finetune.sources import lock as outside
from finetune.spec.load import load_project
from finetune.spec.site import load_site
from finetune.verbs.start.check import check_files

_LOCAL = ("gguf", "directory")


def bundle(options: Namespace, console: Console) -> int:
    """Fetch what the recipe needs, and pack it with recipe, cards, site and wheels."""
    project = load_project(options.recipe, overrides=options.overrides)
    check_files(project)
    outside.verify_lock(project)
    if options.site is not None:
        load_site(options.site)
    store = Store(options.store.resolve())
    steps = tuple(s for s in plan.steps_of(project) if s.stage.needs_network)
    if project.recipe.base.kind in _LOCAL:  # its files go along, and are read again over there
        steps = tuple(s for s in steps if s.stage.name != "base")
    plan.execute(project, steps, store=store, console=console)
    fetching.write_lock(options.recipe, outside.entries(project))
    contents = Contents(
        project=project,
        steps=steps,
        store=store,
        site=options.site,
        wheels=not options.without_wheels,
        skip_wheels=tuple(options.skip_wheel),
        overrides=tuple(options.overrides),
    )
    if contents.wheels and not console.json_lines:
        console.say("getting wheels; with a CUDA build of torch that is several GB ...")
    size_bytes = write_bundle(options.output, contents)
    console.say(
        f"wrote {options.output}, {size_bytes / 2**20:.1f} MiB; README.md in it says how to unpack",
        path=str(options.output),
        bytes=size_bytes,
    )
    return 0


def unbundle(options: Namespace, console: Console) -> int:
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
