"""What one process finds out about the machine it runs on, for `finetune doctor`.

On compute nodes srun starts it once a rank, through everything that a training job goes through;
its findings are one marked line on stdout, so that they arrive even where the store is not shared.
"""

from __future__ import annotations

import os
import platform
import socket
import threading
import time
import zlib
from base64 import b64decode, b64encode
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from finetune.cluster.doctor.hardware import Exchange, Gpus, find_gpus, try_exchange
from finetune.pipeline.storage import space_of

MARK = "finetune-doctor "
_END = "."
_LINE_CHARACTERS = 800


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shared(_Facts):
    """What the store is like from here."""

    error: str | None = None
    """Why a file could not be written and renamed, None if it could."""
    token_seen: bool | None = None
    """Whether the login node's file is seen; None if none was asked for."""
    free_bytes: int = 0
    free_inodes: int | None = None
    clock_skew_seconds: float | None = None
    """This machine's clock minus the one that stamps files of the store."""


class Machine(_Facts):
    """A machine as a process on it sees it."""

    host: str
    python: str
    packages: dict[str, str]
    gpus: Gpus | None = None
    """None where nobody asked."""
    store: Shared
    cpus: int
    """CPUs that this process may use."""


class Probe(_Facts):
    """The findings of one rank."""

    rank: int
    host: str
    machine: Machine | None = None
    """Only from the first rank of each node."""
    exchange: Exchange | None = None


def machine(store: Path, *, token: str | None = None, with_gpus: bool = True) -> Machine:
    """Look at this machine; `token`: name of a file that the login node left in the store."""
    return Machine(
        host=socket.gethostname(),
        python=platform.python_version(),
        packages=packages(),
        gpus=find_gpus() if with_gpus else None,
        store=shared(store, token=token),
        cpus=len(os.sched_getaffinity(0)),
    )


def packages() -> dict[str, str]:
    """Return name -> version of everything that is installed for this Python."""
    found = {
        d.name.lower().replace("_", "-"): d.version for d in metadata.distributions() if d.name
    }
    return dict(sorted(found.items()))


def shared(store: Path, *, token: str | None = None) -> Shared:
    """Write, flush and rename a file in the store, as artefacts are; say what is seen there."""
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
            return Shared(error="a renamed file is not the one that was written")
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
    """Print the findings of this rank as one marked line; return the exit code."""
    rank, host = int(os.environ["RANK"]), socket.gethostname()
    first = os.environ["LOCAL_RANK"] == "0"
    here = machine(store, token=token) if first else None

    def give_up() -> None:  # a collective that hangs in the driver ends by no other means
        late = f"no answer in {timeout_seconds:.0f} s"
        result = Exchange(backend="?", ranks=int(os.environ["WORLD_SIZE"]), error=late)
        _print(Probe(rank=rank, host=host, machine=here, exchange=result))
        os._exit(1)

    watch = threading.Timer(timeout_seconds + 15, give_up)
    watch.daemon = True
    watch.start()
    result = try_exchange(timeout_seconds=timeout_seconds)
    watch.cancel()
    _print(Probe(rank=rank, host=host, machine=here, exchange=result))
    return 0


def parse(printed: str) -> list[Probe]:
    """Return the findings in what srun printed, by rank; other lines are somebody else's."""
    parts: dict[str, dict[int, str]] = {}
    for line in printed.splitlines():
        if line.startswith(MARK):
            rank, part, text = line.removeprefix(MARK).split(" ")
            parts.setdefault(rank, {})[int(part)] = text
    texts = ["".join(text for _, text in sorted(found.items())) for found in parts.values()]
    whole = [text.removesuffix(_END) for text in texts if text.endswith(_END)]
    found = [Probe.model_validate_json(zlib.decompress(b64decode(text))) for text in whole]
    return sorted(found, key=lambda probe: probe.rank)


def _print(probe: Probe) -> None:
    """Print findings in short lines: srun mixes the output of ranks within those above 1 KiB."""
    text = b64encode(zlib.compress(probe.model_dump_json().encode())).decode() + _END
    for part, start in enumerate(range(0, len(text), _LINE_CHARACTERS)):
        print(f"{MARK}{probe.rank} {part} {text[start : start + _LINE_CHARACTERS]}", flush=True)


def _appears(path: Path, *, seconds: float = 10.0) -> bool:
    """Return whether a file appears; other nodes' caches may show it some seconds late."""
    last = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > last:
            return False
        time.sleep(0.25)
    return True
