"""Messages for disk and permission errors: failed place, owner, remedy."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from finetune.errors import StoreError
from finetune.messages import Place, Problem, problem, sentence

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NOT_MADE = (errno.ENOENT, errno.ENOTDIR, errno.EEXIST)
_NEARLY_FULL_BYTES = 2**20


@contextmanager
def disk_errors(root: Path) -> Iterator[None]:
    """Turn what a disk refuses inside the block into a StoreError; `root` is the store.

    Other errors go through as they are.
    """
    try:
        yield
    except OSError as error:
        said = explained(error, root=root)
        if said is None:
            raise
        raise StoreError(said) from error


def free_bytes(folder: Path) -> int:
    """Return the free space of the disk that holds a folder."""
    return shutil.disk_usage(folder).free


def explained(
    error: OSError, *, root: Path, free: Callable[[Path], int] = free_bytes
) -> Problem | None:
    """Return the problem of a disk error, with its remedy; None for another error."""
    if error.errno in _FULL:
        return _full(error, root=root, free=free)
    place = Path(os.fsdecode(error.filename)) if error.filename else root
    if error.errno in _REFUSED:
        if not place.is_absolute():  # deleting a tree names the last part of the path alone
            place = _closed_below(root) or root
        return _refused(error, place, root=root)
    if error.errno in _NOT_MADE and not root.is_dir():  # something else where the store should be
        return _no_store(place, error)
    return None


def _no_store(place: Path, error: OSError) -> Problem:
    return problem(
        "cannot-write-store",
        "cannot write here ({why}); choose another store with --store",
        at=Place(place),
        why=error.strerror,
    )


def in_the_way(path: Path) -> Problem | None:
    """Return the problem of anything but a folder at `path`; None if there is nothing."""
    if path.is_symlink() and not path.exists():
        what = sentence("is a link to something that does not exist")
    elif path.exists() and not path.is_dir():
        what = sentence("is a file where a folder belongs")
    else:
        return None
    return problem(
        "no-folder",
        "{what}; remove it (rm {path}), then the same command",
        at=Place(path),
        what=what,
        path=quote(str(path)),
    )


def _full(error: OSError, *, root: Path, free: Callable[[Path], int]) -> Problem:
    place = full_place(error, root=root, free=free)
    free_mib = free(place) / 2**20 if place.exists() else 0
    is_disk = error.errno == errno.ENOSPC
    what = sentence("the disk is full") if is_disk else sentence("the disk quota is used up")
    if _is_in(place, root):
        how = sentence("free some space (`finetune runs` lists the store)")
    elif _is_in(place, Path(tempfile.gettempdir())):
        how = sentence(
            "this is the folder for temporary files: free some space, or set TMPDIR to a folder "
            "with space"
        )
    else:
        how = sentence("free some space there")
    return problem(
        "disk-full",
        "{what} ({free_mib:.0f} MiB left); {how} and run the same command again",
        at=Place(place),
        what=what,
        free_mib=free_mib,
        how=how,
    )


def full_place(error: OSError, *, root: Path, free: Callable[[Path], int] = free_bytes) -> Path:
    """Return which place has no room, `root` or another.

    A failed write names none, so it is looked for: the store, or the folder for temporary files.
    """
    if error.filename:
        return Path(os.fsdecode(error.filename)).parent
    temporary = Path(tempfile.gettempdir())
    try:
        is_full = free(temporary) < _NEARLY_FULL_BYTES
        has_room = free(root) >= _NEARLY_FULL_BYTES
    except OSError:
        return root
    return temporary if is_full and has_room and error.errno == errno.ENOSPC else root


def _refused(error: OSError, place: Path, *, root: Path) -> Problem:
    why = error.strerror
    if not _is_in(place, root):
        how = sentence("ask its owner, or name another file")
        if _is_in(place, Path(tempfile.gettempdir())):
            how = sentence(
                "this is the folder for temporary files: set TMPDIR to a folder that you may write"
            )
        return problem(
            "not-allowed", "not allowed ({why}); {how}", at=Place(place), why=why, how=how
        )
    if error.errno == errno.EROFS:
        return _no_store(place, error)
    nearest = _nearest(place)
    status = nearest.stat()
    mode = stat.filemode(status.st_mode)
    if status.st_uid == os.geteuid():
        return problem(
            "own-folder-closed",
            "cannot read or write here ({why}; it is {mode} and yours): chmod u+rwX {path}, or "
            "choose another store with --store",
            at=Place(nearest),
            why=why,
            mode=mode,
            path=quote(str(nearest)),
        )
    return problem(
        "folder-of-other-user",
        "cannot read or write here ({why}; it is {mode} and belongs to {owner}). In a store that a "
        "group shares, {owner} types: chmod -R g+rwX {store}, and all members set `umask 002` "
        "before the next run (docs/cluster/shared-store.md); or choose another store with --store",
        at=Place(nearest),
        why=why,
        mode=mode,
        owner=_owner(status.st_uid),
        store=quote(str(root)),
    )


def _closed_below(root: Path) -> Path | None:
    """Return the first folder below that may not be written."""
    for folder, _, _ in os.walk(root):
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return Path(folder)
    return None


def _nearest(place: Path) -> Path:
    """Return the innermost of the path's folders that can be looked at."""
    for path in (place, *place.parents):
        try:
            path.stat()
        except OSError:
            continue
        # a file in a folder that one may not write: the folder is what counts
        if path != place or not path.is_file() or not os.access(path, os.R_OK):
            return path
        return path if not os.access(path, os.W_OK) else path.parent
    return place


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _is_in(place: Path, folder: Path) -> bool:
    return place.absolute().is_relative_to(folder.absolute())
