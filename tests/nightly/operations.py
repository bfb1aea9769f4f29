"""Counting what a process does to its files, and dying before the n-th of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHANGES = {
    "os.rename": "rename",
    "os.link": "link",
    "os.remove": "remove",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
    "os.symlink": "symlink",
    "os.truncate": "truncate",
}
"""Audit events of Python that change a folder; their first argument is a path."""
WRITING = os.O_WRONLY | os.O_RDWR
PATH = (str, bytes, os.PathLike)


@dataclass(slots=True)
class Operations:
    """Operations of this process below a folder: opened for writing, renamed, synced ..."""

    root: str
    die_before: int | None
    done: int = 0
    busy: bool = False

    def step(self, path: Any) -> None:
        """Count one operation on a path, or die before it."""
        if self.busy:
            return
        self.busy = True
        try:
            place = os.path.abspath(os.fsdecode(path))  # noqa: PTH100, also for bytes
        finally:
            self.busy = False
        if not place.startswith(self.root):
            return
        self.done += 1
        if self.done == self.die_before:
            os.kill(os.getpid(), signal.SIGKILL)


def watch(root: Path, *, die_before: int | None = None) -> Operations:
    """Count from now on; there is no way to stop it, so only a forked child does this.

    Native code is not seen: safetensors and the memory maps write by themselves.
    """
    seen = Operations(f"{root}{os.sep}", die_before)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, PATH) and isinstance(flags, int) and flags & WRITING:
                seen.step(path)
        elif event in CHANGES and isinstance(arguments[0], PATH):
            seen.step(arguments[0])

    sys.addaudithook(audit)
    os.fsync = _counted(os.fsync, seen)
    return seen


def _counted(fsync: Callable[[Any], None], seen: Operations) -> Callable[[Any], None]:
    def call(file: Any) -> None:
        number = file if isinstance(file, int) else file.fileno()
        seen.busy = True  # looking at the link is no operation of the program
        try:
            place = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
        finally:
            seen.busy = False
        seen.step(place)
        fsync(file)

    return call
