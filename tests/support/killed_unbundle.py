"""`finetune unbundle` killed before each change that it makes to the disk, and typed again.

usage: python -m tests.support.killed_unbundle FOLDER [EVERY]
Prints one JSON object: how many kills, and what was wrong after each. Run as a program of its own,
which imports once and forks a process for each try.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from finetune.cli import main
from finetune.verbs.cluster import unbundle as _  # noqa: F401, imported once and not in each try
from tests.support.hostile_archives import KEY, as_tar, good

_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate")


def forked(work: Callable[[], int]) -> int:
    """Run something in a process of its own; return its exit code, or minus the signal."""
    child = os.fork()
    if child == 0:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            code = work()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def unbundle(folder: Path, *, die_before: int | None) -> int:
    """Type the command in `folder`; SIGKILL itself before the change of that number."""
    os.chdir(folder)
    seen = 0

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event in _CHANGES or writes:
            if seen == die_before:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    sys.addaudithook(hear)
    return main(["unbundle", "tiny.tar", "--store", "store", "--into", "into"])


def faults(folder: Path, *, whole: bool) -> list[str]:
    """Say what looks complete and is not; if all must be there, what is missing or too much."""
    found = []
    shelf = f"store/base/{KEY}"
    for place, inner in (("into/", "project/"), (f"{shelf}/", f"{shelf}/")):
        wanted = {n.removeprefix(inner): d for n, d in good().items() if n.startswith(inner)}
        root = folder / place
        if root.exists() or whole:
            files = {
                path.relative_to(root).as_posix(): path.read_bytes()
                for path in root.rglob("*")
                if path.is_file()
            }
            found += [f"{place} is not whole"] if files != wanted else []
    if whole:
        known = ("into", "store", "store/base", "tiny.tar", shelf)
        there = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*"))]
        there = [path for path in there if ".lease" not in path]  # whose next owner retires it
        inside = ("into/", f"{shelf}/")
        found += [f"{p} is litter" for p in there if p not in known and not p.startswith(inside)]
    return found


def tried(folder: Path, *, number: int) -> tuple[bool, list[str]]:
    """Kill before change `number`, and type the command again: whether it was killed, faults."""
    folder.mkdir(parents=True)
    as_tar(good())(folder)
    killed = forked(lambda: unbundle(folder, die_before=number)) == -signal.SIGKILL
    wrong = faults(folder, whole=not killed)
    if killed and not (folder / "into").exists():
        code = forked(lambda: unbundle(folder, die_before=None))
        wrong += [f"again: exit code {code}"] if code else []
        wrong += faults(folder, whole=True)
    shutil.rmtree(folder)
    return killed, [f"before change {number}: {one}" for one in wrong]


def run(folder: Path, *, every: int = 1) -> dict[str, Any]:
    """Kill before every n-th change; return the number of kills and all faults."""
    kills, wrong, number = 0, [], 0
    while number < 2000:
        killed, some = tried(folder / str(number), number=number)
        wrong += some
        if not killed:
            break
        kills += 1
        number += every
    return {"kills": kills, "changes": number, "faults": wrong}


if __name__ == "__main__":
    step = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(json.dumps(run(Path(sys.argv[1]).resolve(), every=step), indent=1))
