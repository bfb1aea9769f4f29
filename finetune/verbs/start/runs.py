"""`finetune runs`: the artefacts in the store."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace

from finetune.errors import RecipeError
from finetune.output.console import Console
from finetune.pipeline.plan import STAGES
from finetune.pipeline.store import Store


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--remove", action="append", default=[], metavar="STAGE/KEY", help="delete")


def run(options: Namespace, console: Console) -> int:
    """List what is in the store, or remove some of it."""
    store = Store(options.store.resolve())
    for victim in options.remove:
        stage, _, key = victim.partition("/")
        inside = stage in STAGES and key not in ("", ".", "..") and "/" not in key
        if not inside or store.state(stage, key) == "missing":
            raise RecipeError(f"--remove {victim}: not in {store.root}; `finetune runs` lists it")
        if store.state(stage, key) == "running":
            raise RecipeError(f"--remove {victim}: being built right now")
        freed = store.remove(stage, key)
        console.say(f"removed {victim} ({freed / 2**20:.1f} MiB)", removed=victim, bytes=freed)
    if options.remove:
        return 0
    rows = []
    for artifact, manifest in store.artifacts():
        size = sum(f["size_bytes"] for f in manifest["files"].values())
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest["finished"]))
        rows.append(
            (f"{artifact.stage}/{artifact.key}", manifest["name"], when, f"{size / 2**20:.1f}")
        )
    console.table(str(store.root), ("artefact", "recipe", "finished", "MiB"), rows)
    return 0
