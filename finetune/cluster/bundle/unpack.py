"""Verification and unpacking of untrusted bundles.

A bundle is read twice. The first pass writes nothing: names, kinds, sizes, checksums and manifests
must be consistent. The second pass writes every file to scratch folders, in the store and beside
the new project, and compares its checksum. Then each artefact is renamed into place, the project
last. A killed process leaves nothing that looks complete, and the next one removes its remains.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from finetune.cluster.bundle.inventory import (
    MAX_PROBLEMS,
    SUMS,
    Inventory,
    examined,
)
from finetune.cluster.bundle.scratch import alone, scratch_folder
from finetune.errors import InputError, RecipeError, StoreError
from finetune.messages import Place, Problem, problem
from finetune.output.durable import flush
from finetune.pipeline.disk_errors import free_bytes
from finetune.pipeline.manifest import Manifest, read_manifest
from finetune.pipeline.store import Store
from finetune.sources.archives import files_in, sha256_of_member, write_member
from finetune.sources.tar_stream import ArchiveError, shown


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Result of unpacking a bundle."""

    folder: Path
    """The new project."""
    recipe: str
    """Its path in `folder`."""
    overrides: tuple[str, ...]
    """Values of --set when the bundle was written."""
    added: tuple[str, ...]
    """Artefacts, `STAGE/KEY`, that were added to the store."""
    present: tuple[str, ...]
    """Artefacts that were in the store, with the same files."""
    other: tuple[str, ...]
    """Artefacts that were in the store with other files, unchanged."""


def unpack(
    source: Path,
    *,
    store: Store,
    into: Path | None,
    waiting: Callable[[str], None] = lambda _: None,
    free: Callable[[Path], int] = free_bytes,
) -> Unpacked:
    """Verify a bundle, add its artefacts to a store and its project to a new folder.

    `into`: default a folder named like the recipe. Nothing else is written, and nothing stays of a
    refused bundle. `free`: bytes left on the disk of a folder.

    Raises:
        InputError: not a bundle, damaged or hostile.
        RecipeError: no such bundle; `into` exists, or is inside the bundle.
        StoreError: no space, no permission, or an artefact of the store is damaged.
    """
    if not os.path.lexists(source):
        raise RecipeError(problem("no-such-bundle", "there is no such bundle", at=Place(source)))
    with _explained(source, during="reading"):
        inventory = examined(source)
    goal = into if into is not None else Path(inventory.facts.name)
    folder = _place(goal, source=source, store=store.root)
    with _explained(source, during="writing"):
        there = [n for n in inventory.facts.artifacts if store.path_of(*n.split("/")).is_dir()]
        other = tuple(n for n in there if _is_another(store, n, inventory.manifests[n]))
        new = [name for name in inventory.facts.artifacts if name not in there]
        with ExitStack() as stack:
            aside = _aside_of(folder)
            places = {"project": stack.enter_context(scratch_folder(aside, waiting=waiting))}
            _refuse_existing(folder)  # another process may have made it meanwhile
            _refuse_full_disk(aside, inventory, "project", free=free)
            shelf = store.root / ".unbundle"
            if new or os.access(shelf, os.W_OK):  # or remains of a killed process
                made = stack.enter_context(scratch_folder(shelf, waiting=waiting))
                _refuse_full_disk(made, inventory, *(f"store/{name}" for name in new), free=free)
                places |= {name: made / name for name in new}
            _write(source, inventory, places)
            for name in new:
                _adopt(places[name], store.path_of(*name.split("/")), waiting=waiting)
            aside.rename(folder)
            flush(folder.parent)
    same = tuple(name for name in there if name not in other)
    overrides = tuple(inventory.facts.overrides)
    return Unpacked(goal, inventory.facts.recipe, overrides, tuple(new), same, other)


def _place(goal: Path, *, source: Path, store: Path) -> Path:
    """Return the folder of the project; refuse an existing one, or one inside the bundle."""
    folder, bundle, root = map(_real, (goal, source, store))
    aside = _aside_of(folder)
    if not any(map(os.path.lexists, (aside, aside.with_name(f"{aside.name}.lease")))):
        # remains of a killed process are cleared first
        _refuse_existing(goal)
        _refuse_existing(folder)
    for path, option in ((root, "--store"), (folder, "--into")):
        if bundle.is_dir() and path.is_relative_to(bundle):
            raise RecipeError(
                problem(
                    "inside-the-bundle",
                    "is inside the bundle itself; name another folder with {option}",
                    at=Place(path),
                    option=option,
                )
            )
    if root.is_relative_to(folder):
        raise RecipeError(
            problem(
                "contains-the-store",
                "contains the store {store}, but must be a new folder; name another one with "
                "--into or --store",
                at=Place(goal),
                store=store,
            )
        )
    return folder


def _real(path: Path) -> Path:
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:  # not an error in all versions of Python
            raise RecipeError(
                problem("link-to-itself", "is a link to itself", at=Place(path))
            ) from None
    return path.resolve()


def _aside_of(folder: Path) -> Path:
    """Return the scratch folder of the project."""
    return folder.with_name(f".{folder.name}.unbundle")


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise RecipeError(
            problem(
                "folder-exists", "already exists; name a new folder with --into", at=Place(path)
            )
        )


def _is_another(store: Store, name: str, manifest: Manifest) -> bool:
    """Return whether an artefact of the store has other files than in the bundle.

    Raises StoreError if it is damaged.
    """
    stage, key = name.split("/")
    store.find(stage, key)
    return read_manifest(store.path_of(stage, key)).files != manifest.files


def _write(source: Path, inventory: Inventory, places: Mapping[str, Path]) -> None:
    """Write the files that have a target, and compare all files with their checksums."""
    targets = {name: target for name in inventory.sums if (target := _target(name, places))}
    left = dict(inventory.sums)
    damaged = []
    with files_in(source) as members:
        for member in members:
            name = member.name.removeprefix(inventory.top)
            if name == SUMS:
                continue
            if inventory.sizes.get(name) != member.size_bytes or name not in left:
                raise InputError(_changed(source, name))
            target = targets.get(name)
            digest = write_member(member, target, synced=True) if target else None
            if (digest or sha256_of_member(member)) != left.pop(name):
                damaged.append(
                    problem(
                        "damaged-file",
                        "damaged; copy the bundle again",
                        at=Place(source, key=shown(name)),
                    )
                )
    if left:
        raise InputError(_changed(source, min(left)))
    if damaged:
        raise InputError(*damaged[:MAX_PROBLEMS])
    for place in places.values():
        for folder, _, _ in os.walk(place):
            flush(Path(folder))


def _changed(source: Path, name: str) -> Problem:
    return problem(
        "changed-while-read",
        "changed while the bundle was read; try again",
        at=Place(source, key=shown(name)),
    )


def _target(name: str, places: Mapping[str, Path]) -> Path | None:
    first, _, rest = name.partition("/")
    if first == "project":
        return places["project"] / rest
    if first == "store":
        stage, key, inner = rest.split("/", 2)
        place = places.get(f"{stage}/{key}")
        return place / inner if place else None
    return None


def _refuse_full_disk(
    place: Path, inventory: Inventory, *folders: str, free: Callable[[Path], int]
) -> None:
    """Raise StoreError if `folders` of the bundle do not fit on the disk."""
    below = tuple(f"{folder}/" for folder in folders)
    needed_bytes = sum(size for name, size in inventory.sizes.items() if name.startswith(below))
    left_bytes = free(place)
    if needed_bytes > left_bytes:
        raise StoreError(
            problem(
                "full-disk",
                "the bundle needs {needed_mib} MiB here, and {free_mib} MiB are free; free some "
                "space and rerun the command",
                at=Place(place.parent),
                needed_mib=round(needed_bytes / 2**20),
                free_mib=round(left_bytes / 2**20),
            )
        )


def _adopt(made: Path, target: Path, *, waiting: Callable[[str], None]) -> None:
    """Rename a finished artefact into a store, unless it was built meanwhile."""
    target.parent.mkdir(exist_ok=True)
    with alone(target.with_suffix(".lease"), waiting=waiting):
        if not target.is_dir():
            made.rename(target)
            flush(target.parent)


@contextmanager
def _explained(source: Path, *, during: str) -> Iterator[None]:
    try:
        yield
    except ArchiveError as error:
        raise InputError(
            problem(
                "unsafe-archive",
                "{reason}; nothing was unpacked. Copy the bundle again; if that does not help, ask "
                "its author",
                at=Place(source),
                reason=str(error),
            )
        ) from None
    except OSError as error:
        where, why = error.filename or source, error.strerror or str(error)
        if during == "reading":
            raise InputError(
                problem(
                    "unreadable-bundle", "cannot be read: {reason}", at=Place(where), reason=why
                )
            ) from None
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreError(
                problem(
                    "no-space-left",
                    "no space for the bundle ({reason}); free some space and rerun the command",
                    at=Place(where),
                    reason=why,
                )
            ) from None
        raise StoreError(
            problem(
                "unwritable-place",
                "cannot be written ({reason}); choose other folders with --store and --into",
                at=Place(where),
                reason=why,
            )
        ) from None
