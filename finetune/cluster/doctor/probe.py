"""Probe of one machine for `finetune doctor`.

On compute nodes a job with the script of a training job starts one probe per rank. Its result is
printed in marked lines on stdout, which is the log of the job.
"""

from __future__ import annotations

import grp
import os
import platform
import shutil
import socket
import threading
import time
import zlib
from base64 import b64decode, b64encode
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from finetune.cluster.doctor.hardware import Exchange, Gpus, find_gpus, try_exchange
from finetune.launch.ranks import ranks_of
from finetune.pipeline.storage import space_of

MARK = "finetune-doctor "
VARIABLE = "FINETUNE_DOCTOR"
"""Set where the doctor submits; it arrives in jobs that get the environment of that shell."""
_END = "."
_LINE_CHARACTERS = 800


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shared(_Facts):
    """The store as seen from this machine."""

    error: str | None = None
    """Error of writing and renaming a file; None if it succeeded."""
    token_seen: bool | None = None
    """True if the login node's file is visible; None if there was none to look for."""
    free_bytes: int = 0
    free_inodes: int | None = None
    clock_skew_seconds: float | None = None
    """This machine's clock minus that of the store's file system."""


class Machine(_Facts):
    """Facts about a machine, from a process on it."""

    host: str
    python: str
    packages: dict[str, str]
    gpus: Gpus | None = None
    """None if not probed."""
    store: Shared
    cpus: int
    """CPUs available to this process."""
    inherits: bool = True
    """True if a variable of the submitting shell arrived."""
    has_bash: bool = True
    """True if bash is found by its name."""
    umask: int = 0o022
    mode: int | None = None
    """Type and permissions of the store's folder; None if it cannot be looked at."""
    group: str | None = None
    """Group of that folder."""


class Probe(_Facts):
    """Result of one rank."""

    rank: int
    host: str
    machine: Machine | None = None
    """From the first rank of each node only."""
    exchange: Exchange | None = None


def machine(store: Path, *, token: str | None = None, with_gpus: bool = True) -> Machine:
    """Probe this machine; `token`: name of the login node's file in the store."""
    mode, group = _permissions(store)
    return Machine(
        host=socket.gethostname(),
        python=platform.python_version(),
        packages=packages(),
        gpus=find_gpus() if with_gpus else None,
        store=shared(store, token=token),
        cpus=len(os.sched_getaffinity(0)),
        inherits=os.environ.get(VARIABLE) == token,
        has_bash=shutil.which("bash") is not None,
        umask=_umask(),
        mode=mode,
        group=group,
    )


def _permissions(store: Path) -> tuple[int | None, str | None]:
    try:
        status = store.stat()
    except OSError:
        return None, None
    try:
        return status.st_mode, grp.getgrgid(status.st_gid).gr_name
    except KeyError:  # a group of the site that an image does not know
        return status.st_mode, str(status.st_gid)


def _umask() -> int:
    """Return the umask; asking for it means setting it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def packages() -> dict[str, str]:
    """Return name -> version of all installed packages."""
    versions = {
        d.name.lower().replace("_", "-"): d.version for d in metadata.distributions() if d.name
    }
    return dict(sorted(versions.items()))


def shared(store: Path, *, token: str | None = None) -> Shared:
    """Write, flush and rename a file in the store, as for artefacts; return what is visible."""
    folder = store / "doctor"
    name = f"{socket.gethostname()}-{os.getpid()}"
    aside, target = folder / f"{name}.tmp", folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(os.urandom(2**20))
            file.flush()
            os.fsync(file.fileno())
        skew = time.time() - aside.stat().st_mtime
        aside.rename(target)
        if aside.exists() or target.stat().st_size != 2**20:
            return Shared(error="a renamed file differs from the written one")
        space = space_of(store)
        seen = None if token is None else _appears(folder / token)
    except OSError as error:
        return Shared(error=f"{error.filename or folder}: {error.strerror}")
    finally:
        for path in (aside, target):
            path.unlink(missing_ok=True)
    return Shared(
        token_seen=seen,
        free_bytes=space.free_bytes,
        free_inodes=space.free_inodes,
        clock_skew_seconds=round(skew, 3),
    )


def run_as_rank(store: Path, *, token: str, timeout_seconds: float) -> int:
    """Print the result of this rank in marked lines; return the exit code."""
    ranks, host = ranks_of(), socket.gethostname()
    rank = ranks.rank
    here = machine(store, token=token) if ranks.local_rank == 0 else None

    def give_up() -> None:  # a collective that hangs in the driver cannot be interrupted
        late = f"no answer in {timeout_seconds:.0f} s"
        result = Exchange(backend="?", ranks=ranks.world, error=late)
        _print(Probe(rank=rank, host=host, machine=here, exchange=result))
        os._exit(1)

    watch = threading.Timer(timeout_seconds + 15, give_up)
    watch.daemon = True
    watch.start()
    result = try_exchange(store / "doctor", timeout_seconds=timeout_seconds)
    watch.cancel()
    _print(Probe(rank=rank, host=host, machine=here, exchange=result))
    return 0


def parse(printed: str) -> list[Probe]:
    """Return the results in the output of srun, by rank; other lines are ignored."""
    parts: dict[str, dict[int, str]] = {}
    for line in printed.splitlines():
        if line.startswith(MARK):
            rank, part, text = line.removeprefix(MARK).split(" ")
            parts.setdefault(rank, {})[int(part)] = text
    texts = ["".join(text for _, text in sorted(own.items())) for own in parts.values()]
    whole = [text.removesuffix(_END) for text in texts if text.endswith(_END)]
    probes = [Probe.model_validate_json(zlib.decompress(b64decode(text))) for text in whole]
    return sorted(probes, key=lambda probe: probe.rank)


def _print(probe: Probe) -> None:
    """Print a result in short lines: srun interleaves the output of ranks within long lines."""
    text = b64encode(zlib.compress(probe.model_dump_json().encode())).decode() + _END
    for part, start in enumerate(range(0, len(text), _LINE_CHARACTERS)):
        print(f"{MARK}{probe.rank} {part} {text[start : start + _LINE_CHARACTERS]}", flush=True)


def _appears(path: Path, *, seconds: float = 10.0) -> bool:
    """Return whether a file appears; caches of the file system may show it some seconds late."""
    last = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > last:
            return False
        time.sleep(0.25)
    return True
