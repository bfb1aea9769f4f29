"""Builds in a store, killed before an operation; `python -m tests.support.store_kills DIR N SEED`.

A build is a child that is forked for it; nothing heavy is imported, so that one takes milliseconds.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finetune.output.durable import write_json
from finetune.pipeline.store import Request, Store

CHANGES = frozenset(
    {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.utime"}
)
WALL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of a build that was killed several times and then completed."""

    resumable: bool
    killed_before: Sequence[int]
    """Number of the operation, of each kill."""
    problem: str
    """Empty if nothing is missing, other, or left over."""


def kills(folder: Path, *, count: int, seed: int) -> Iterator[Verdict]:
    """Yield verdicts for builds with at least `count` kills in all.

    First one kill before every operation there is, then up to four in a row, drawn.
    """
    draw, done = random.Random(seed), 0
    last = {resumable: _operations(folder, resumable=resumable) for resumable in (False, True)}
    every = [(r, [n]) for r, number in last.items() for n in range(1, number + 1)]
    while done < count:
        if every:
            resumable, plan = every.pop()
        else:
            resumable = draw.random() < 0.5
            plan = [draw.randint(1, last[resumable]) for _ in range(draw.randint(1, 4))]
        verdict = _try(folder, plan, resumable=resumable)
        done += len(verdict.killed_before)
        yield verdict


def _try(folder: Path, plan: Sequence[int], *, resumable: bool) -> Verdict:
    shutil.rmtree(folder, ignore_errors=True)
    killed = []
    for number in plan:
        status = _child(folder, resumable=resumable, kill_before=number)
        if status == -signal.SIGKILL:
            killed.append(number)
        elif status != 0:
            return Verdict(resumable, killed, f"exit status {status}")
    status = _child(folder, resumable=resumable, kill_before=None)
    problem = "" if status == 0 else f"exit status {status} in the end"
    return Verdict(resumable, killed, problem or _difference(folder, resumable=resumable))


def _difference(folder: Path, *, resumable: bool) -> str:
    """Say what a finished store has that it should not have, or lacks."""
    files = {"a.txt", "sub/b.json"} | ({"state.json"} if resumable else set())
    expected = {f"s/k/{name}" for name in files | {"manifest.json"}}
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
    folders = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_dir()}
    odd = sorted((found ^ expected) | (folders ^ {"s", "s/k", "s/k/sub"}))
    if odd:
        return f"missing or left: {odd}"
    listed = json.loads((folder / "s/k/manifest.json").read_text())["files"]
    return "" if set(listed) == files else f"the manifest lists {sorted(listed)}"


def _operations(folder: Path, *, resumable: bool) -> int:
    """Return how many operations an undisturbed build has."""
    shutil.rmtree(folder, ignore_errors=True)
    receiving, sending = os.pipe()
    status = _child(folder, resumable=resumable, kill_before=0, count_to=sending)
    os.close(sending)
    with os.fdopen(receiving) as pipe:
        assert status == 0, status
        return int(pipe.read())


def _child(
    folder: Path, *, resumable: bool, kill_before: int | None, count_to: int | None = None
) -> int:
    """Build in a child; return its exit status, minus the signal that ended it."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            counted = die_before(kill_before or 0, below=folder)
            _build(folder, resumable=resumable)
            if count_to is not None:
                os.write(count_to, str(counted()).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    end = time.monotonic() + WALL_SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 124


def _build(folder: Path, *, resumable: bool) -> None:
    def run(workspace: Path) -> dict[str, Any]:
        (workspace / "a.txt").write_text("alpha" * 1000)
        (workspace / "sub").mkdir(exist_ok=True)
        write_json(workspace / "sub/b.json", {"beta": 1})
        if resumable:
            write_json(workspace / "state.json", {"step": 3})
        return {"n": 1}

    request = Request(stage="s", key="k", name="n", content={}, inputs={}, resumable=resumable)
    store = Store(folder)
    if store.find("s", "k") is None:
        store.build(request, run)
    store.tidy("s", "k")


def die_before(number: int, *, below: Path) -> Callable[[], int]:
    """Let this process kill itself before its nth operation on something below a folder.

    Returns what tells how many there were so far.
    """
    seen = 0

    def step(path: object) -> None:
        nonlocal seen
        if isinstance(path, str | bytes | os.PathLike) and _is_in(path, below):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
        if event in CHANGES or writes:
            step(arguments[0])

    original = os.fsync

    def fsync(descriptor: int) -> None:
        step(Path(f"/proc/self/fd/{descriptor}").readlink())
        original(descriptor)

    os.fsync = fsync
    sys.addaudithook(audit)
    return lambda: seen


def _is_in(path: str | bytes | os.PathLike[Any], folder: Path) -> bool:
    return os.path.normpath(os.fsdecode(path)).startswith(f"{folder}{os.sep}")


def main() -> None:
    folder, count, seed = Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3])
    number, problems = 0, []
    for verdict in kills(folder, count=count, seed=seed):
        number += len(verdict.killed_before)
        problems += [asdict(verdict)] if verdict.problem else []
    print(json.dumps({"kills": number, "problems": problems}))


if __name__ == "__main__":
    main()
