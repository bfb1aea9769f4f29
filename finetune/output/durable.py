"""Atomic, durable writes: a file is complete or absent after a crash.

What is written has reached the disk when these functions return: content first, then its name,
because a power cut keeps a name without its content as readily as the other way round.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

_ASIDE = re.compile(
    r"\.(?:(?P<place>[0-9a-f]{6})(?P<pid>[0-9a-f]{6})[0-9a-f]{4}|[0-9a-f]{12}|\d+)\.tmp\Z"
)
"""Suffix of temporary files; only numbers in former versions."""


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of one."""
    replace_text(path, json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True))


def replace_text(path: Path, text: str) -> None:
    """Write UTF-8 text in place of a file, all of it or nothing; a failed write leaves nothing.

    What a killed writer of the same file left beside it is removed. Raises OSError where the disk
    is full or the folder cannot be written.
    """
    _remove_left(path)
    aside = aside_of(path)
    try:
        write_synced(aside, text.encode())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    flush(path.parent)


def aside_of(path: Path) -> Path:
    """Return a name of its own beside `path`, to write under before renaming; see `is_aside`.

    >>> is_aside(aside_of(Path("manifest.json")))
    True
    """
    writer = f"{_place()}{os.getpid():06x}{uuid.uuid4().hex[:4]}"
    return path.with_name(f"{path.name}.{writer}.tmp")


@cache
def _place() -> str:
    """Return six digits for where the number of this process means something; zeros: unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return "000000"
    return hashlib.sha256(f"{boot} {space}".encode()).hexdigest()[:6]


def _remove_left(path: Path) -> None:
    """Remove what writers of a file left who were killed, as far as that is known here."""
    if _place() == "000000" or not path.parent.is_dir():
        return
    for left in path.parent.iterdir():
        begins = left.name.startswith(f"{path.name}.")
        found = _ASIDE.fullmatch(left.name, len(path.name)) if begins else None
        if found is None or found["place"] != _place():
            continue
        if not Path(f"/proc/{int(found['pid'], 16)}").exists():
            with suppress(OSError):  # of another user, or another process was faster
                left.unlink()


def is_aside(path: Path) -> bool:
    """Return whether a file is what a killed writer left under its temporary name.

    >>> [is_aside(Path(n)) for n in ("manifest.json", "a.json.4711.tmp", "step-4.tmp")]
    [False, True, False]
    """
    return _ASIDE.search(path.name) is not None


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and wait until its content is on the disk (for its name: `flush` the folder)."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Make a folder and those above it, and wait until their names are on the disk."""
    missing = []
    above = path
    while not above.exists() and above != above.parent:
        missing.append(above)
        above = above.parent
    path.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        flush(made.parent)


def flush_folders(path: Path) -> None:
    """Wait until the names in a folder, and in all folders below it, are on the disk."""
    for folder in (*(p for p in path.rglob("*") if p.is_dir() and not p.is_symlink()), path):
        flush(folder)


def flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # file systems that cannot sync a folder say so; there is nothing more to be had from them
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
