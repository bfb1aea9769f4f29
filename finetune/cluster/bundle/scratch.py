"""Scratch folders for large files, which are renamed into place when complete."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from finetune.pipeline.lease import leased

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""Errors of making a lease on a file system without hard links, such as FAT."""


@contextmanager
def scratch_folder(path: Path, *, waiting: Callable[[str], None]) -> Iterator[Path]:
    """Own an empty folder during the block; it and folders made for it are removed afterwards.

    The name is fixed per purpose, so that remains of a killed owner are found and removed. If
    another process owns it, wait for that process, with a message to `waiting`. What was renamed
    out of it stays.
    """
    with new_folders(path.parent), alone(path.with_name(f"{path.name}.lease"), waiting=waiting):
        _remove(path)
        path.mkdir()
        try:
            yield path
        finally:
            _remove(path)


@contextmanager
def alone(lease: Path, *, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold a lease during the block, if the file system supports leases."""
    with ExitStack() as stack:
        try:
            stack.enter_context(leased(lease, waiting=waiting))
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        yield


@contextmanager
def new_folders(path: Path) -> Iterator[None]:
    """Make a folder and its parents; afterwards remove new ones that are empty."""
    made = []
    for folder in (path, *path.parents):
        if os.path.lexists(folder):
            break
        made.append(folder)
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for folder in made:
            with suppress(OSError):  # not empty
                folder.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
