"""`finetune runs`: listing, verification and removal of artefacts in the store."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from finetune.errors import RecipeError, StoreError
from finetune.messages import Place, counted, problem
from finetune.output.console import Console
from finetune.output.work import Bar
from finetune.pipeline.disk_errors import disk_errors
from finetune.pipeline.manifest import read_manifest
from finetune.pipeline.plan import STAGES
from finetune.pipeline.store import Store
from finetune.pipeline.told_apart import Marks, marks_of
from finetune.pipeline.verify import damage_of
from finetune.spec.tables.metric import VALIDATED, VALIDATION
from finetune.verbs.problems import exclusive

SHOWN_TIMES = 50
"""Maximum number of progress lines of `--verify`."""
SILENT_SECONDS = 1.0
SHOWN_LETTERS = 100


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        "--remove",
        action="append",
        default=[],
        metavar="STAGE/KEY",
        help="delete an artefact; repeatable",
    )
    parser.add_argument(
        "--verify",
        nargs="*",
        metavar="STAGE/KEY",
        help="compare every file of these artefacts (default: all) with its checksum; exit code 1 "
        "if one is damaged",
    )


def run(options: Namespace, console: Console) -> int:
    """List, verify or remove artefacts."""
    store = Store(options.store)
    if options.remove and options.verify is not None:
        raise RecipeError(exclusive("--remove", "--verify"))
    if options.remove:
        _remove(options.remove, store=store, console=console)
        return 0
    if options.verify is not None:
        return _verify(options.verify, store=store, console=console)
    _list(store, console=console)
    return 0


def _list(store: Store, *, console: Console) -> None:
    """Show the artefacts, with what tells those of one recipe apart."""
    listed = store.artifacts()
    marks = marks_of([manifest for _, manifest in listed])
    rows: list[tuple[str, ...]] = []
    facts: list[dict[str, Any]] = []
    for artifact, manifest in listed:
        name = f"{artifact.stage}/{artifact.key}"
        mark = marks.get(name, Marks())
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest.finished))
        marked = (manifest.name, mark.repo or "", *map(_shown, (mark.steps, mark.seed)), mark.score)
        rows.append((name, *marked, "cached", when, f"{manifest.size_bytes / 2**20:,.1f}"))
        facts.append(
            {
                "artefact": name,
                "recipe": manifest.name,
                **_facts(mark),
                "state": "cached",
                "finished": manifest.finished,
                "size_bytes": manifest.size_bytes,
            }
        )
    blank = {"recipe": None, **_facts(Marks()), "finished": None, "size_bytes": None}
    for name, state in store.unfinished():
        rows.append((name, *[""] * 5, state, "", ""))
        facts.append({"artefact": name, "state": state, **blank})
    columns = (
        *("artefact", "recipe", "repository", "steps", "seed", VALIDATION.replace("_", " ")),
        *("state", "finished", "MiB"),
    )
    console.table(str(store.root), columns, rows, name="artefacts", facts=facts)


def _shown(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _facts(mark: Marks) -> dict[str, Any]:
    return {
        "repo": mark.repo,
        "steps": mark.steps,
        "seed": mark.seed,
        VALIDATED: mark.validation,
        f"base_{VALIDATION}": mark.base,
        f"adapter_{VALIDATION}": mark.adapter,
    }


def _remove(victims: Sequence[str], *, store: Store, console: Console) -> None:
    for victim in victims:
        stage, key = _named(victim, option="--remove", store=store)
        state, (holder, way_out) = store.state(stage, key), store.holder_of(stage, key)
        if state == "running":
            raise RecipeError(
                problem(
                    "in-use",
                    "in use by {holder}; {remedy}",
                    at=Place(key=f"--remove {victim}"),
                    holder=holder,
                    remedy=way_out,
                )
            )
        if state == "stale":
            console.say(f"{victim}: checking whether {holder} is still running")
        with disk_errors(store.root):
            freed = store.remove(stage, key)
        console.say(f"removed {victim} ({freed / 2**20:.1f} MiB)", removed=victim, bytes=freed)


def _named(artefact: str, *, option: str, store: Store) -> tuple[str, str]:
    """Return stage and key of a typed artefact name; RecipeError if it does not exist."""
    stage, _, key = artefact.partition("/")
    # a name with a dot is a lease or the folder of a running build
    inside = stage in STAGES and key != "" and not {"/", "."} & set(key)
    if not inside or not store.has(stage, key):
        raise RecipeError(
            problem(
                "no-such-artefact",
                "not in {store}; `finetune runs` lists the artefacts",
                at=Place(key=f"{option} {artefact[:SHOWN_LETTERS]}"),
                store=store.root,
            )
        )
    return stage, key


def _verify(names: Sequence[str], *, store: Store, console: Console) -> int:
    """Compare every file of these artefacts, or of all, with its checksum; return the exit code."""
    for name in names:
        if store.state(*_named(name, option="--verify", store=store)) != "cached":
            raise RecipeError(
                problem(
                    "not-finished",
                    "not finished, so it has no checksums yet",
                    at=Place(key=f"--verify {name}"),
                )
            )
    problems: list[str] = []
    paths: dict[Path, int] = {}
    for path in (store.root / name for name in names) if names else store.folders():
        try:
            paths[path] = read_manifest(path).size_bytes
        except StoreError as error:
            problems.append(str(error))
    total = sum(paths.values())
    with console.progress("compared", total=total / 2**20, unit="MiB") as bar:
        progress = _progress(bar, total=total)
        for path in paths:
            try:
                damage = damage_of(path, anew=True, progress=progress)
            except StoreError as error:  # manifest changed meanwhile, or a file is unreadable
                problems.append(str(error))
                continue
            problems += [damage.sentence] if damage else []
    for damage_text in problems:
        console.say(damage_text, damaged=damage_text)
    compared = counted("{count} artefact", "{count} artefacts", len(paths))
    console.say(
        f"{compared}, {total / 2**20:,.1f} MiB compared: "
        + (f"{len(problems):,} damaged" if problems else "no damage"),
        compared=len(paths),
        size_bytes=total,
        damaged=len(problems),
    )
    return 1 if problems else 0


def _progress(bar: Bar, *, total: int) -> Callable[[int], None]:
    """Return a callback for the bytes of each block; it shows the time left."""
    started, read, shown = time.monotonic(), 0, 0

    def progress(size_bytes: int) -> None:
        nonlocal read, shown
        read += size_bytes
        spent = time.monotonic() - started
        if read - shown >= total / SHOWN_TIMES and spent > SILENT_SECONDS:
            shown = read
            left = spent * (total - read) / read
            bar.update(read / 2**20, seconds_left=round(left, 1))

    return progress
