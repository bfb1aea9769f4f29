"""Free space, inodes, quotas and purged files of the store.

Sites count files as well as bytes, and delete files that were not read for some weeks. Both can end
a training run; they are reported here in advance.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from finetune.errors import StoreError
from finetune.pipeline.disk_errors import disk_errors
from finetune.pipeline.manifest import MANIFEST, lost_files, read_manifest
from finetune.pipeline.plan import STAGES
from finetune.pipeline.store import Store

QUOTA_SECONDS = 20.0
QUOTA_WARN = 0.9
_DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Space:
    """Room of the file system that holds a folder."""

    free_bytes: int
    free_inodes: int | None
    """None where the file system has no fixed number of files."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Quota of one file system, from a quota command. A limit of None: unlimited."""

    file_system: str
    used_bytes: int
    limit_bytes: int | None
    used_files: int
    limit_files: int | None

    @property
    def share(self) -> float:
        """Used fraction of the nearer limit: 1.0 is full."""
        pairs = ((self.used_bytes, self.limit_bytes), (self.used_files, self.limit_files))
        return max((used / limit for used, limit in pairs if limit), default=0.0)

    @property
    def is_nearly_used(self) -> bool:
        """Return whether space should be freed before it is full."""
        return self.share >= QUOTA_WARN


@dataclass(frozen=True, slots=True)
class Lost:
    """A finished artefact with missing files."""

    stage: str
    key: str
    missing: tuple[str, ...]
    """Names of the files."""


def space_of(folder: Path) -> Space:
    """Return the room that this user has where `folder` is, or would be."""
    found = os.statvfs(existing(folder))
    return Space(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    path = folder.absolute()
    while not path.is_dir():
        path = path.parent
    return path


def quotas_of(folder: Path) -> list[Quota]:
    """Return this user's quotas where `folder` is, from `lfs quota` or `quota`; [] without them.

    A command that is not there, fails or is silent gives no quotas, and none are reported.
    """
    user = str(os.getuid())
    lustre = output_of(["lfs", "quota", "-q", "-u", user, str(existing(folder))])
    return parse_quotas(lustre) or parse_quotas(output_of(["quota", "-w", "-p"]))


def parse_quotas(printed: str) -> list[Quota]:
    """Parse `quota -w -p` or `lfs quota -q`: a path, then four numbers of KiB, four of files.

    A star marks a number above its limit; Lustre wraps the line after a long path.

    >>> parse_quotas("/scratch  2048* 1024 4096 - 10 0 0 -")[0].limit_bytes
    4194304
    """
    words = printed.split()
    found = []
    for place in range(len(words) - 8):
        path, numbers = words[place], words[place + 1 : place + 9]
        used = [numbers[i].rstrip("*") for i in (0, 1, 2, 4, 5, 6)]
        if ("/" not in path and ":" not in path) or not all(n.isdigit() for n in used):
            continue
        kib, soft, hard, files, soft_files, hard_files = map(int, used)
        limit = (hard or soft) * 1024 or None
        found.append(Quota(path, kib * 1024, limit, files, hard_files or soft_files or None))
    return found


def lost_artifacts(store: Store) -> list[Lost]:
    """Return the finished artefacts with missing files or an unusable manifest."""
    found = []
    for path in _artifact_folders(store):
        try:
            with disk_errors(store.root):
                missing = tuple(lost_files(path, read_manifest(path)))
        except StoreError:
            missing = (MANIFEST,)
        if missing:
            found.append(Lost(path.parent.name, path.name, missing))
    return found


def days_to_purge(store: Store, *, purge_days: int) -> float | None:
    """Return in how many days the site deletes the first file; None if there is no file.

    The time of the last reading counts, or that of the last change if it is later.
    """
    oldest = None
    for path in _artifact_folders(store):
        for file in path.rglob("*"):
            if file.is_file():
                stat = file.stat()
                used = max(stat.st_atime, stat.st_mtime)
                oldest = used if oldest is None else min(oldest, used)
    return None if oldest is None else purge_days - (time.time() - oldest) / _DAY_SECONDS


def _artifact_folders(store: Store) -> list[Path]:
    folders = [path for stage in STAGES for path in sorted((store.root / stage).glob("*"))]
    return [path for path in folders if path.is_dir() and not path.suffix]


def output_of(command: list[str]) -> str:
    """Return what a quota command prints; nothing if it is missing, fails to start or hangs."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=QUOTA_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""  # documented above: no answer is no quota that we know
    return done.stdout
