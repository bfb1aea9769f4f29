"""Identity of a builder, as written into a lease, and its liveness as far as it can be seen.

Numbers of processes mean something only in one boot of one machine and in one PID namespace: two
containers both have a process 7, two machines may both be called `localhost`. Outside of that
nothing is concluded from them; there only the heartbeat counts (`finetune.pipeline.lease`).
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from finetune.errors import StoreError
from finetune.launch.ranks import launch_id
from finetune.messages import problem
from finetune.output.digits import whole_number

ATTEMPT = "FINETUNE_ATTEMPT"
"""Environment of a batch job: `JOB#NUMBER`, the number rising with every attempt at the job."""
UNKNOWN = "unknown"
Life = Literal["alive", "gone", "unseen"]


@dataclass(frozen=True, slots=True)
class Builder:
    """The content of a lease."""

    nonce: Annotated[str, Field(pattern=r"^[0-9a-z]{1,64}$")]
    """Of this lease alone; part of the name of the folder that is built."""
    host: Annotated[str, Field(max_length=255)]
    pid: Annotated[int, Field(gt=0, lt=2**31)]
    born: Annotated[str, Field(max_length=64)] | None
    """Start time of the process, because process ids are reused."""
    boot: Annotated[str, Field(max_length=64)]
    namespaces: Annotated[str, Field(max_length=128)] = UNKNOWN
    """Of process numbers and start times."""
    beat: Annotated[str, Field(max_length=32)] = ""
    """Counts up with every heartbeat."""
    since: Annotated[str, Field(max_length=64)] = UNKNOWN
    """For people; by the builder's own clock, so nothing is computed from it."""
    launch: Annotated[str, Field(max_length=1000)] | None = None
    slurm: tuple[Annotated[str, Field(max_length=500)] | int, int] | None = None
    """The batch job and the number of the attempt at it."""

    def __str__(self) -> str:
        """Return it for people, in one line."""
        job = "" if self.slurm is None else f" (job {_shown(str(self.slurm[0]))})"
        return f"process {self.pid} on {_shown(self.host)}{job}, since {_shown(self.since)}"


def this_builder(nonce: str, *, beat: str) -> Builder:
    """Return what this process writes into its lease. StoreError for a wrong FINETUNE_ATTEMPT."""
    return Builder(
        nonce=nonce,
        host=socket.gethostname()[:255],
        pid=os.getpid(),
        born=_born("self"),
        boot=boot_id(),
        namespaces=namespaces(),
        beat=beat,
        since=time.strftime("%Y-%m-%d %H:%M:%S"),
        launch=this_launch(),
        slurm=slurm_attempt(),
    )


def life_of(builder: Builder) -> Life:
    """Return whether a builder lives, is gone, or cannot be seen from here."""
    held, mine = builder.slurm, slurm_attempt()
    if held and mine and str(held[0]) == mine[0] and held[1] < mine[1]:
        return "gone"  # a job is started again only when its former attempt has ended
    here = (boot_id(), namespaces())
    if UNKNOWN in here or here != (builder.boot, builder.namespaces):
        return "unseen"
    born = _born(str(builder.pid))
    if born is not None:
        return "alive" if born == builder.born else "gone"
    try:  # gone, or hidden from other users, or no /proc
        os.kill(builder.pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        return "unseen"
    return "unseen" if _state(str(builder.pid)) != "Z" else "gone"


def slurm_attempt() -> tuple[str, int] | None:
    """Return the job and the number of the attempt at it, inside a job of Slurm.

    Jobs of a chain set it: there a job may continue under another id.
    """
    said = os.environ.get(ATTEMPT, "")
    if said:
        name, _, text = said.rpartition("#")
        number = whole_number(text)
        if not name or number is None:
            raise StoreError(
                problem(
                    "no-attempt",
                    "{variable} is {value!r}, which is not JOB#NUMBER; only batch scripts of "
                    "`finetune submit` set it: `unset {variable}` and type the command again",
                    variable=ATTEMPT,
                    value=said[:80],
                )
            )
        return _plain(name)[:500], number
    job = os.environ.get("SLURM_JOB_ID", "0")
    restart = whole_number(os.environ.get("SLURM_RESTART_COUNT", "0"))
    is_job = whole_number(job) is not None and job != "0"
    return (job, restart) if is_job and restart is not None else None


def this_launch() -> str | None:
    """Return launch.ranks.launch_id as it stands in leases."""
    launch = launch_id()
    return None if launch is None else _plain(launch)[:1000]


@cache
def boot_id() -> str:
    """Return what no other machine has, nor this one after it was started again."""
    try:
        if sys.platform == "darwin":
            asked = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
            return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() or UNKNOWN
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN


def namespaces() -> str:
    """Return in which namespaces process numbers and start times count here, or `unknown`."""
    if sys.platform == "darwin":
        return "none"
    try:
        if Path("/proc/self").readlink() != Path(str(os.getpid())):
            return UNKNOWN  # the /proc of another namespace: its numbers are not ours
        pids = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return UNKNOWN
    times = Path("/proc/self/ns/time")  # absent before Linux 5.6
    return f"{pids} {times.readlink()}" if times.is_symlink() else str(pids)


def _born(process: str) -> str | None:
    """Return when a process started; None if it is gone, ended, or not to be seen."""
    fields = _stat(process)
    return None if fields is None or fields[0] == "Z" else fields[19]


def _state(process: str) -> str | None:
    fields = _stat(process)
    return None if fields is None else fields[0]


def _stat(process: str) -> list[str] | None:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
        return stat[stat.rindex(")") + 2 :].split()
    except (OSError, ValueError):
        return None


def _plain(text: str) -> str:
    """Return a variable of the environment, which may be no text, as JSON can hold it."""
    return text.encode(errors="replace").decode()


def _shown(text: str) -> str:
    """Return a foreign word without what a terminal would act upon."""
    return re.sub(r"[^\w .:#/+-]", "?", text)[:80]
