"""The folder hub: repositories as folders, with the manners of the Hub.

Beside each repository, `.NAME.published.json` records what was put there last, by checksum. What
differs from it was changed by others: it is neither overwritten nor deleted unless that is asked
for. Without a record (folders of earlier versions), files named like ours count as ours.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune.errors import ReleaseError
from finetune.messages import Place, Sentence, problem, sentence
from finetune.output.durable import flush, flush_folders, make_folder, replace_text
from finetune.output.small_files import UnreadableError, read_json
from finetune.pipeline.disk_errors import in_the_way
from finetune.pipeline.lease import Hold, leased, still_ours
from finetune.release.contents import is_of_release
from finetune.release.hub_changes import NOTHING, Changes, changes, refuse_foreign
from finetune.sources.checksums import sha256_of

_MOST_BYTES = 64 * 2**20
_FULL: Mapping[int, Sentence] = {
    errno.ENOSPC: sentence("the disk is full"),
    errno.EDQUOT: sentence("the disk quota is used up"),
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file as `changes` compares it."""

    blob_id: str
    """Its sha256."""
    size: int

    @property
    def lfs(self) -> _Entry:
        """The entry itself, which has the checksum."""
        return self

    @property
    def sha256(self) -> str:
        """Checksum of the content."""
        return self.blob_id


@dataclass(frozen=True, slots=True)
class Placed:
    """Result of putting files into a folder hub."""

    changed: bool
    changes: Changes = NOTHING


def record_path(target: Path) -> Path:
    """Return where it is recorded what was put into a repository of the folder hub."""
    return target.with_name(f".{target.name}.published.json")


def recorded(target: Path) -> dict[str, list[str]] | None:
    """Return name -> checksums of what was put into a repository; None without a record.

    Two checksums stand where putting was interrupted: either may be there. A folder that was
    removed as a whole begins anew.
    """
    if not target.is_dir():
        return None
    try:
        return read_json(record_path(target), dict[str, list[str]], max_bytes=_MOST_BYTES)
    except (OSError, UnreadableError):
        return None


def our_files(target: Path) -> tuple[str, ...]:
    """Return the files of a repository that are as this program put them there."""
    return tuple(_ours(_entries(target), recorded(target)))


def look(files: Mapping[str, Path], target: Path, *, force: bool = False) -> Changes:
    """Return what putting files (relative path -> file) into a repository would change."""
    there, record = _entries(target), recorded(target)
    published = _ours(there, record)
    gone = {} if record is None else {name: _Entry("", -1) for name in record if name not in there}
    found = changes(
        files,
        remote=there,
        published=gone | published,
        replaces=lambda name: is_of_release(name) or name in (record or ()),
    )
    return found.with_force() if force else found


def put(
    files: Mapping[str, Path],
    target: Path,
    *,
    force: bool = False,
    waiting: Callable[[str], None] = lambda _: None,
) -> Placed:
    """Make a repository of the folder hub hold these files; files of others stay.

    One publisher at a time (`waiting` gets a line about another); the folder is replaced by one
    rename.

    Raises:
        ReleaseError: others changed a file that would be overwritten (without `force`), the folder
            hub cannot be written, or another kind of file stands in its place.
    """
    for place in (target, *target.parents):
        if said := in_the_way(place):
            raise ReleaseError(
                problem(
                    "folder-in-the-way",
                    "{why}; or set publish.directory to another folder",
                    why=said,
                )
            )
    try:
        found = look(files, target, force=force)
        can_tidy = _left(target) and os.access(target.parent, os.W_OK)
        if found.is_empty and not can_tidy:
            return Placed(changed=False, changes=found)  # also where nothing may be written
        make_folder(target.parent)
        with leased(target.with_name(f".{target.name}.lease"), waiting=waiting) as hold:
            return _replace(files, target, hold=hold, force=force)
    except OSError as error:
        raise ReleaseError(
            problem(
                "hub-not-writable",
                "cannot be written ({why}); free some space or set publish.directory to a writable "
                "folder, then publish again",
                at=Place(target),
                why=_FULL.get(error.errno or 0) or error.strerror or str(error),
            )
        ) from error


def _replace(files: Mapping[str, Path], target: Path, *, hold: Hold, force: bool) -> Placed:
    """Build the new version aside and rename.

    A kill between the two renames leaves the old version as `.NAME.old`: it comes back first.
    """
    aside, old = (target.with_name(f".{target.name}.{end}") for end in ("new", "old"))
    still_ours(hold)
    if old.is_dir() and not old.is_symlink() and not target.exists():
        old.rename(target)  # with the files of others in it
    found = look(files, target, force=force)
    refuse_foreign(found, Place(target))
    if found.is_empty:
        _remove(aside, old)
        return Placed(changed=False, changes=found)
    _remove(aside)
    aside.mkdir()
    others = [n for n in _entries(target) if n not in files and n not in found.removed]
    for name, path in (*files.items(), *((name, target / name) for name in others)):
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, aside / name)
        flush(aside / name)
    flush_folders(aside)
    still_ours(hold)
    new = {name: [sha256_of(path)] for name, path in files.items()}
    before = recorded(target) or {}  # a kill leaves the old version or the new one
    both = {n: sorted({*before.get(n, ()), *new.get(n, ())}) for n in (*before, *new)}
    _record(target, both)
    if os.path.lexists(target):
        _remove(old)
        target.rename(old)
    aside.rename(target)
    flush(target.parent)
    _record(target, new)
    _remove(old)
    return Placed(changed=True, changes=found)


def _record(target: Path, sums: Mapping[str, list[str]]) -> None:
    replace_text(record_path(target), json.dumps(sums, ensure_ascii=False, sort_keys=True) + "\n")


def _entries(target: Path) -> dict[str, _Entry]:
    """Return the files of a repository, by name."""
    if not target.is_dir():
        return {}
    return {
        path.relative_to(target).as_posix(): _Entry(sha256_of(path), path.stat().st_size)
        for path in sorted(target.rglob("*"))
        if path.is_file()
    }


def _ours(there: Mapping[str, _Entry], record: Mapping[str, list[str]] | None) -> dict[str, _Entry]:
    """Return the entries that are as this program put them there."""
    return {
        name: entry
        for name, entry in there.items()
        if (is_of_release(name) if record is None else entry.sha256 in record.get(name, ()))
    }


def _left(target: Path) -> bool:
    """Return whether something is left of a publishing: the new or the old version, or a lease."""
    begin, record = f".{target.name}.", record_path(target).name
    if not target.parent.is_dir():
        return False
    names = (path.name for path in target.parent.iterdir())
    return any(name.startswith(begin) and name != record for name in names)


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
        else:  # a link that stood in the place of a published folder: what it leads to stays
            folder.unlink(missing_ok=True)
