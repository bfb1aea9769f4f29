"""Checksums of files, cached while the file shows no change.

A change shows in size, times of content and inode, or inode number: writing a file and restoring
its time changes the inode's time, and replacing it changes the number.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from finetune.output.durable import replace_text
from finetune.output.small_files import UnreadableError, read_json

SETTLED_SECONDS = 2.0
_BLOCK_BYTES = 2**20
_LOCK_TRIES = 20
_LOCK_SECONDS = 0.05
MAX_ENTRIES = 10_000
"""Of the cache; the oldest go first."""
MAX_CACHE_BYTES = 16 * 2**20

_Entry = tuple[int, int, int, int, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
"""Size, time of content and of inode (ns), inode number, sha256."""


def checksum(path: Path, *, cache: Path | None = None) -> str:
    """Return the sha256 of a file, as `checksums` does; OSError if it cannot be read."""
    return checksums([path], cache=cache)[path]


def checksums(
    paths: Iterable[Path],
    *,
    cache: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[Path, str]:
    """Return the sha256 of each file, read once and then remembered.

    `cache` is a JSON file; default `finetune/file-checksums.json` in the user's cache folder. One
    that cannot be read or written, or holds something else, costs time and nothing more.
    `progress` gets the bytes that were dealt with, remembered ones too.

    Raises OSError if a file cannot be read or is no regular file.
    """
    cache = cache or _default_cache()
    known = _read_cache(cache)
    found: dict[Path, str] = {}
    new: dict[str, _Entry] = {}
    for path in paths:
        place, status = str(path.resolve()), path.stat()
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        entry = known.get(place)
        if entry is not None and entry[:4] == stamp:
            found[path] = entry[4]
            progress(status.st_size)
            continue
        found[path] = sha256_of(path, progress=progress)
        # a file that was just written may change again within one tick of the clock
        settled = time.time() - max(status.st_mtime, status.st_ctime) > SETTLED_SECONDS
        if settled and _is_text(place):
            new[place] = (*stamp, found[path])
    if new and cache is not None:
        _add(cache, new)
    return found


def sha256_of(path: Path, *, progress: Callable[[int], None] = lambda _: None) -> str:
    """Return the sha256 of a regular file, in hexadecimal digits, without the cache.

    `progress` gets the bytes of each block. Raises OSError if it cannot be read or is something
    else, such as a named pipe, which would be waited for.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "is no regular file", str(path))
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            progress(len(block))
    return digest.hexdigest()


def cache_folder() -> Path | None:
    """Return the user's folder for what is remembered; None for a user without a home."""
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return None
    return Path(home) / "finetune"


def _default_cache() -> Path | None:
    folder = cache_folder()
    return folder and folder / "file-checksums.json"


def _is_text(place: str) -> bool:
    return place.isascii() or place.encode("utf-8", "replace").decode() == place


def _read_cache(path: Path | None) -> Mapping[str, _Entry]:
    if path is None:
        return {}
    try:
        status = path.stat()
        return _parsed(path, status.st_mtime_ns, status.st_size, status.st_ino)
    except (OSError, UnreadableError):
        return {}  # documented above: none, torn, or of another shape: hash again


@lru_cache(maxsize=2)
def _parsed(path: Path, *stamp: int) -> Mapping[str, _Entry]:  # noqa: ARG001, the cache's key
    return read_json(path, dict[str, _Entry], max_bytes=MAX_CACHE_BYTES)


def _add(path: Path, new: Mapping[str, _Entry]) -> None:
    with suppress(OSError):  # a read-only home or full disk: the next run hashes again
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_name(f"{path.name}.lock")):
            known = [(place, e) for place, e in _read_cache(path).items() if place not in new]
            kept = [*known, *new.items()][-MAX_ENTRIES:]
            replace_text(path, json.dumps(dict(kept)))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock the cache against other writers; wait a second at most: a lost entry costs time."""
    with path.open("a") as file:
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(_LOCK_SECONDS)
        yield
