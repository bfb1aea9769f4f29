"""Changes that an upload would make in a repository, and what others changed there.

The last published commit is remembered in the repository itself: its title begins with `Release`
and a hash of the files. So every machine and every member of an organisation knows it, it outlives
the store, and a merged pull request keeps it. What differs from that commit was changed by others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import ReleaseError
from finetune.messages import Place, problem
from finetune.sources.checksums import checksum

MARK_DIGITS = 12
_OURS = re.compile(rf"Release [0-9a-f]{{{MARK_DIGITS}}}\b")
_NAMED_FILES = 3
"""In the title of a commit."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of files, by what an upload does to them."""

    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    """Edited or removed by others since the last upload, which would write over it."""
    kept: tuple[str, ...] = ()
    """Files of others that are named like those of a release; they stay."""

    @property
    def is_empty(self) -> bool:
        """Return whether the repository has what is uploaded already."""
        return not (self.added or self.replaced or self.removed or self.foreign)

    def with_force(self) -> Changes:
        """Return the same if what others did may be undone."""
        return Changes(
            added=self.added,
            replaced=(*self.replaced, *self.foreign),
            removed=(*self.removed, *self.kept),
        )


NOTHING = Changes()


def changes(
    files: Mapping[str, Path],
    *,
    remote: Mapping[str, Any],
    published: Mapping[str, Any],
    replaces: Callable[[str], bool],
) -> Changes:
    """Return what has to change so that a repository holds `files` (name -> file).

    `remote` and `published` are its files (name -> entry of a tree) now and at our last upload.
    """
    found: dict[str, list[str]] = {"added": [], "replaced": [], "removed": []}
    foreign: list[str] = []
    kept: list[str] = []
    for name, path in files.items():
        there = remote.get(name)
        if there is None:
            (found["added"] if name not in published else foreign).append(name)
        elif not is_there(path, there):
            (found["replaced"] if _same(there, published.get(name)) else foreign).append(name)
    for name, there in remote.items():
        if name not in files and replaces(name):
            (found["removed"] if _same(there, published.get(name)) else kept).append(name)
    return Changes(
        **{kind: tuple(names) for kind, names in found.items()},
        foreign=tuple(foreign),
        kept=tuple(kept),
    )


def refuse_foreign(found: Changes, at: Place) -> None:
    """Raise ReleaseError with the files that others changed and that would be written over."""
    if found.foreign:
        raise ReleaseError(
            problem(
                "changed-by-others",
                "changed or removed there since the last upload: {files}. Nothing was uploaded. "
                "Take the changes over into the cards or the recipe, or replace them with --force",
                at=at,
                files=list(found.foreign),
            )
        )


def mark_of(files: Mapping[str, Path]) -> str:
    """Return the hash of what is uploaded: names and contents."""
    lines = [f"{checksum(path)}  {name}\n" for name, path in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:MARK_DIGITS]


def title_of(found: Changes, *, mark: str) -> str:
    """Return the title of a commit: that it is ours, and what changed.

    >>> title_of(Changes(added=("a", "b"), removed=("c",)), mark="0" * 12)
    'Release 000000000000: add a, b; remove c'
    """
    parts = [
        f"{done} {_listed(names)}"
        for done, names in (
            ("add", found.added),
            ("change", found.replaced),
            ("remove", found.removed),
        )
        if names
    ]
    return f"Release {mark}: {'; '.join(parts)}"


def is_ours(title: str) -> bool:
    """Return whether a commit is an upload of this project.

    >>> is_ours("Release 0123456789ab: change README.md (#3)"), is_ours("Release day!")
    (True, False)
    """
    return _OURS.match(title) is not None


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names, key=lambda name: ("/" in name, name))
    shown = ", ".join(ordered[:_NAMED_FILES])
    more = len(ordered) - _NAMED_FILES
    return f"{shown} and {more} more" if more > 0 else shown


def _same(one: Any, other: Any) -> bool:
    """Return whether two entries of trees are the same file."""
    return other is not None and one.blob_id == other.blob_id


def is_there(path: Path, remote: Any) -> bool:
    """Return whether the hub has exactly these bytes, by the checksum that it keeps."""
    if remote is None or remote.size != path.stat().st_size:
        return False
    if remote.lfs is not None:
        return bool(checksum(path) == remote.lfs.sha256)
    blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as content:
        while block := content.read(2**20):
            blob.update(block)
    return bool(blob.hexdigest() == remote.blob_id)
