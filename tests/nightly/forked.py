"""The command line in forked children of a process that has imported everything already.

A start of `python -m finetune` that trains costs four seconds of imports; a forked child none. It
is a process of its own: it has its own folder, environment, streams and signals, and can be killed.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CPU_LIMIT_SECONDS = 120
WALL_LIMIT_SECONDS = 900
"""Not back after that: a hang. By the clock, for what waits without working; the machine may be
busy with other work."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Outcome of a child process."""

    code: int | None
    """Exit code; minus the number of the signal that ended it; None: it was not back in time."""
    said: str
    """Standard output and error, mixed as they came."""
    cpu_seconds: float

    @property
    def has_traceback(self) -> bool:
        """Return whether Python's own account of an error was printed."""
        return "Traceback (most recent call last)" in self.said

    @property
    def last_line(self) -> str:
        """The last line that was printed."""
        return (self.said.strip().splitlines() or [""])[-1][:300]


def start(
    arguments: Sequence[str],
    *,
    folder: Path,
    log: Path,
    environment: Mapping[str, str | None] | None = None,
    before: Callable[[], None] | None = None,
    after: Callable[[], None] | None = None,
) -> int:
    """Start `finetune ARGUMENTS` in a folder; return the process id.

    What it prints is appended to `log`. A variable that is None is unset. `before` and `after` are
    called in the child, around the command.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _become(folder, log, environment or {})
            if before:
                before()
            code = _typed(arguments)
            if after:
                after()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            code = _flushed(code)
            os._exit(code & 255)
    return pid


def _become(folder: Path, log: Path, environment: Mapping[str, str | None]) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    nothing = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, stream in enumerate((nothing, out, out)):
        os.dup2(stream, number)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_SECONDS, CPU_LIMIT_SECONDS + 10))


def _typed(arguments: Sequence[str]) -> int:
    from finetune.cli import main

    return main(list(arguments))


def _flushed(code: int) -> int:
    """Flush the streams as the interpreter does at its end; return the exit code."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return code or 120
    return code


def cpu_seconds_of(pid: int) -> float:
    """Return the processor time that a running process has used; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def kill_at(pid: int, *, cpu_seconds: float, number: int = signal.SIGKILL) -> bool:
    """Send a signal when a child has used so much processor time; return whether it still ran.

    A child that waits without working is killed when it has done so for a while.
    """
    used, since = 0.0, time.monotonic()
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        now = cpu_seconds_of(pid)
        if now > used:
            used, since = now, time.monotonic()
        if used >= cpu_seconds or time.monotonic() - since > 20:
            os.kill(pid, number)
            return True
        time.sleep(0.0005)
    return False


def finish(pid: int, *, log: Path, limit_seconds: float = WALL_LIMIT_SECONDS) -> Ended:
    """Wait for a child; one that is not back in time is killed with all that it started."""
    end = time.monotonic() + limit_seconds
    late = False
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > end:
            late = True
            _end_group(pid)
        time.sleep(0.002)
    _, status, usage = os.wait4(pid, 0)
    code: int | None = os.waitstatus_to_exitcode(status)
    if late or code == -signal.SIGXCPU:
        code = None
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return Ended(code, said, usage.ru_utime + usage.ru_stime)


def _end_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)


def finetune(
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str | None] | None = None,
    before: Callable[[], None] | None = None,
    limit_seconds: float = WALL_LIMIT_SECONDS,
) -> Ended:
    """Type a command in a folder, and wait for its end."""
    log = folder.parent / f"{folder.name}.log"
    log.unlink(missing_ok=True)
    pid = start(arguments, folder=folder, log=log, environment=environment, before=before)
    return finish(pid, log=log, limit_seconds=limit_seconds)
