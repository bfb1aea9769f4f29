"""Verbs that write are ended at any instant; the same command again ends as if nothing was.

A trial is drawn from its seed alone: the verb (in turn), one to three ends, and for each an instant
of processor time (SIGKILL, SIGTERM or SIGINT) or an operation on a file before which it dies.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from tests.nightly.forked import Ended, finish, kill_at, start
from tests.nightly.kill_cases import CASES, RECIPE, Case, Result, Workplace
from tests.nightly.operations import Operations, watch
from tests.nightly.same_result import contents, differences
from tests.nightly.verdict import Verdict
from tests.support.hub_server import HubServer

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Instant:
    """Time of a kill: before an operation on a file, or after some processor time."""

    operation: int | None
    cpu_seconds: float
    signal: signal.Signals = signal.SIGKILL
    """Of an end after processor time; before an operation it is SIGKILL."""

    def __str__(self) -> str:
        if self.operation is not None:
            return f"SIGKILL before operation {self.operation}"
        return f"{self.signal.name} after {self.cpu_seconds:.4f} CPU s"


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """Outcome of a case without a kill."""

    case: Case
    result: Result
    cpu_seconds: float
    operations: int


def trials(seed: int, count: int) -> Iterator[Verdict]:
    """Yield what came of `count` trials; the n-th is that of seed + n alone."""
    for number in range(seed, seed + count):
        yield trial(number)


def trial(seed: int) -> Verdict:
    """Kill one command as the seed says, type it again until it ends, and compare."""
    draw = random.Random(seed)
    case = CASES[seed % len(CASES)]
    place = workplace()
    calm = undisturbed(case.name)
    place.begin(calm.case)
    kills = draw.choices((1, 2, 3), weights=(6, 2, 1))[0]
    said: list[str] = []
    for _ in range(kills):
        at = _instant(draw, calm)
        ended = _killed(calm.case, place, at)
        said.append(str(at) if ended.code != 0 else f"{at} (it had ended)")
        if ended.code == 0:
            break
    problems = _problems(calm, _typed(calm.case, place), place)
    return Verdict(f"{case.name}: {', then '.join(said)}", tuple(problems), seed)


def _instant(draw: random.Random, calm: Undisturbed) -> Instant:
    operation = draw.randint(1, max(1, calm.operations))
    by_operation = draw.random() < 0.5 and calm.operations > 0
    number = draw.choices(SIGNALS, weights=(8, 1, 1))[0]
    cpu_seconds = draw.uniform(0, calm.cpu_seconds)
    return Instant(operation if by_operation else None, cpu_seconds, number)


def _killed(case: Case, place: Workplace, at: Instant) -> Ended:
    def before() -> None:
        if at.operation is not None:
            watch(place.here, die_before=at.operation)

    log = place.root / "killed.log"
    log.unlink(missing_ok=True)
    pid = start(
        case.arguments,
        folder=place.here,
        log=log,
        environment=place.environment(case),
        before=before,
    )
    if at.operation is None:
        kill_at(pid, cpu_seconds=at.cpu_seconds, number=at.signal)
    return finish(pid, log=log)


def _typed(case: Case, place: Workplace) -> Ended:
    log = place.root / "typed.log"
    log.unlink(missing_ok=True)
    settings = {"folder": place.here, "log": log, "environment": place.environment(case)}
    return finish(start(case.arguments, **settings), log=log)  # type: ignore[arg-type]


def _problems(calm: Undisturbed, last: Ended, place: Workplace) -> list[str]:
    case = calm.case
    if last.code == 2 and "is still active" in last.said and "is still active" in case.again:
        return _cancelled_and_again(calm, place)
    finished_before = last.code in (1, 2) and any(words in last.said for words in case.again)
    problems = []
    if last.code is None:
        problems.append(f"not back in time: {last.last_line}")
    elif last.code != 0 and not finished_before:
        problems.append(f"typed again, it ended with {last.code}: {last.last_line}")
    if last.has_traceback:
        problems.append("typed again, it showed a traceback")
    try:
        found = _result(case, place)
    except (OSError, ValueError, KeyError) as error:
        return [*problems, f"what it left cannot be read: {error!r}"]
    return problems + differences(calm.result, found)


def _cancelled_and_again(calm: Undisturbed, place: Workplace) -> list[str]:
    """Follow the advice of a chain that a kill left half queued: cancel it, and type it again."""
    cancelled = _typed(replace(calm.case, arguments=("cancel",)), place)
    if cancelled.code != 0:
        return [f"its advice, `finetune cancel`, ended with {cancelled.code}"]
    last = _typed(calm.case, place)
    if last.code != 0:
        return [f"after `finetune cancel` it ended with {last.code}: {last.last_line}"]
    return differences(calm.result, _result(calm.case, place))


def _result(case: Case, place: Workplace) -> Result:
    return case.result(place) if case.result else contents(place.here)


@cache
def workplace() -> Workplace:
    """Return the folder of this process, in which everything has been imported once."""
    root = Path(tempfile.mkdtemp(prefix="finetune-kills-"))
    hub = HubServer().__enter__()
    hub.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients are killed
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    root.chmod(0o755)  # other users come here too
    for name in ("home", "scratch"):
        (root / name).mkdir()
    (root / "scratch").chmod(0o1777)
    os.environ |= {
        "HOME": str(root / "home"),
        "XDG_CACHE_HOME": str(root / "home/cache"),
        "HF_HOME": str(root / "hf"),
        "HF_ENDPOINT": hub.url,
        "TMPDIR": str(root / "scratch"),
    }
    tempfile.tempdir = None
    place = Workplace(root, hub)
    place.reset("fresh")
    _warm(place)
    return place


def _warm(place: Workplace) -> None:
    """Run the line once in this process, so that forked children find everything imported."""
    import torch

    from finetune.cli import main

    torch.set_num_threads(1)
    with (
        contextlib.chdir(place.here),
        Path(os.devnull).open("w") as nothing,
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        assert main(["run", RECIPE]) == 0


@cache
def undisturbed(name: str) -> Undisturbed:
    """Run a case to its end; nothing is killed."""
    case = next(case for case in CASES if case.name == name)
    place = workplace()
    place.begin(case)
    if case.arguments[-1] == "--remove":
        key = next((place.here / ".finetune/train").glob("*/manifest.json")).parent.name
        case = replace(case, arguments=(*case.arguments, f"train/{key}"))
    log, counted = place.root / "calm.log", place.root / "operations"
    log.unlink(missing_ok=True)
    seen: list[Operations] = []
    pid = start(
        case.arguments,
        folder=place.here,
        log=log,
        environment=place.environment(case),
        before=lambda: seen.append(watch(place.here)),
        after=lambda: counted.write_text(str(seen[0].done)) and None,
    )
    ended = finish(pid, log=log)
    assert ended.code == 0, f"{name}: {ended.said[-3000:]}"
    return Undisturbed(case, _result(case, place), ended.cpu_seconds, int(counted.read_text()))
