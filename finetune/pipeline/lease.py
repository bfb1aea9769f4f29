"""Who builds what: a lease is a file that its builder refreshes while it lives.

A file and not flock, because flock does not hold on shared file systems.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from finetune.errors import StoreError
from finetune.launch.ranks import launch_id

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 120.0  # a builder on another host that was silent for so long is gone
ATTEMPT = "FINETUNE_ATTEMPT"
"""Environment of a batch job: `JOB#NUMBER`, the number rising with every attempt at the job."""


@contextmanager
def leased(path: Path, *, waiting: Callable[[str], None]) -> Iterator[str]:
    """Hold the lease at `path`; its nonce proves at the end that nobody took it.

    Waits for a holder that lives, and `waiting` is told so once; the lease of a dead one is taken.
    """
    nonce = uuid.uuid4().hex
    told = False
    while not _take_lease(path, nonce):
        holder = read_lease(path)
        if holder is not None and not told:
            waiting(
                f"waiting: process {holder.get('pid')} on {holder.get('host')} is at {path.stem}"
            )
            told = True
        time.sleep(0.5)
    done = threading.Event()
    heart = threading.Thread(target=_beat, args=(path, done), daemon=True)
    heart.start()
    try:
        yield nonce
    finally:
        done.set()
        heart.join()
        lease = read_lease(path)
        if lease is not None and lease["nonce"] == nonce:
            path.unlink(missing_ok=True)


def _beat(path: Path, done: threading.Event) -> None:
    while not done.wait(HEARTBEAT_SECONDS):
        if path.exists():
            os.utime(path)


def _take_lease(path: Path, nonce: str) -> bool:
    lease = {
        "nonce": nonce,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "boot": _boot_id(),
        "born": _born(os.getpid()),
        "launch": launch_id(),
        "slurm": _slurm_attempt(),
    }
    aside = path.with_name(f"{path.name}.{nonce}")
    aside.write_text(json.dumps(lease))
    try:
        os.link(aside, path)  # atomic, and never shows an empty lease
        return True
    except FileExistsError:
        _retire_stale(path)
        return False
    finally:
        aside.unlink()


def _retire_stale(path: Path) -> None:
    """Move a dead builder's lease away; put it back if another one took it meanwhile."""
    lease = read_lease(path)
    if lease is None or not is_stale(lease, path):
        return
    tomb = path.with_name(f"{path.name}.{uuid.uuid4().hex}.stale")
    try:
        path.rename(tomb)
    except FileNotFoundError:
        return
    taken = read_lease(tomb)
    if taken is not None and taken["nonce"] != lease["nonce"]:
        with suppress(FileExistsError):  # its owner finds out when it commits, and builds again
            os.link(tomb, path)
    tomb.unlink()


def read_lease(path: Path) -> dict[str, Any] | None:
    """Return who holds the lease at `path`, None if nobody does."""
    try:
        lease: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return lease


def _slurm_attempt() -> list[int | str] | None:
    """Return the job and the number of the attempt at it, inside a job of Slurm.

    Jobs of a chain say so themselves: there a job may go on under another id.
    """
    name, _, number = os.environ.get(ATTEMPT, "").rpartition("#")
    if name:
        return [name, int(number)]
    job, restart = (os.environ.get(n, "0") for n in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"))
    return [int(job), int(restart)] if job.isdigit() and restart.isdigit() and job != "0" else None


def is_stale(lease: Mapping[str, Any], path: Path) -> bool:
    """Whether the builder that took a lease is gone."""
    held, mine = lease.get("slurm"), _slurm_attempt()
    if held and mine and held[0] == mine[0] and held[1] < mine[1]:
        return True  # a job is started again only when its former attempt has ended
    if lease["host"] == socket.gethostname():
        if lease["boot"] != _boot_id():
            return True
        return _born(lease["pid"]) != lease["born"]
    try:
        return time.time() - path.stat().st_mtime > STALE_SECONDS
    except FileNotFoundError:
        return False


def still_ours(path: Path, nonce: str) -> None:
    """Raise StoreError if somebody else took the lease meanwhile."""
    lease = read_lease(path)
    if lease is None or lease["nonce"] != nonce:
        raise StoreError(
            f"{path}: another process took this build over (was this one suspended for more "
            f"than {STALE_SECONDS:.0f} s?); run the same command again"
        )


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _born(pid: int) -> str | None:
    """Return when a process started (its number may be reused), or None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        fields = stat[stat.rindex(")") + 2 :].split()
    except (OSError, ValueError):
        if Path("/proc/self/stat").exists():
            return None
        return _born_without_proc(pid)
    return None if fields[0] == "Z" else fields[19]


def _born_without_proc(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "alive"
    return "alive"
