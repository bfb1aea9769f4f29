"""Atomic build of a folder under a lease; unfinished builds and their removal.

    KEY                     finished
    KEY.NONCE.partial       being built by the holder of the lease with this nonce, or left by it
    KEY.partial             left by a former version
    KEY.lease               who builds it (`finetune.pipeline.lease`)
    KEY.lease.NONCE, KEY.lease.NONCE.stale, KEY.*.removed    for an instant, or left by a kill

Every builder has a folder of its own, so one that lost its lease without noticing writes into
an unread folder. A resumed build renames its folder first, which takes it away from a process that
still writes there. This module does not depend on artefacts (`finetune.pipeline.store`).
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar

from finetune.errors import Stopped, StoreError
from finetune.messages import problem
from finetune.output.durable import flush, flush_folders, is_aside, make_folder
from finetune.pipeline import lease as leases
from finetune.pipeline.lease import Hold, leased, look, still_ours

State = Literal["cached", "running", "stale", "partial", "to do"]
_Built = TypeVar("_Built")
_PARTIAL = re.compile(r"\.(?:[0-9a-f]{12}\.)?partial\Z")


def build_aside(
    path: Path,
    work: Callable[[Path], _Built],
    *,
    find: Callable[[], _Built | None],
    resumable: bool,
    waiting: Callable[[str], None],
    meanwhile: Callable[[Path], None] | None = None,
) -> _Built:
    """Return what `find` finds, else what `work(folder)` builds; the folder then becomes `path`.

    Another process that builds it is waited for; `meanwhile` gets the folder in which it builds,
    again and again. Raises StoreError if another process took this build over.
    """
    make_folder(path.parent)

    def visit() -> None:
        folder = folder_in_work(path)
        if meanwhile is not None and folder is not None:
            meanwhile(folder)

    with leased(lease_of(path), waiting=waiting, meanwhile=visit) as hold:
        found = find()
        if found is None:
            try:
                partial = _claim(path, hold, resumable=resumable)
                built = work(partial)
                flush_folders(partial)
                still_ours(hold)
                partial.rename(path)
                flush(path.parent)
            except Stopped:
                raise
            except Exception as error:
                found = find() if path.is_dir() else None
                if found is None:
                    _explain_loss(hold, error)
                    raise
        _tidy(path, lease=False)
    return built if found is None else found


def _claim(path: Path, hold: Hold, *, resumable: bool) -> Path:
    """Return the folder to build in: that of a former build if it can go on, else an empty one."""
    partial = path.with_name(f"{path.name}.{hold.nonce}.partial")
    former = partials_of(path)
    still_ours(hold)
    while resumable and former:
        newest = former.pop()
        # listed before the rename: afterwards other processes of this launch write there too
        unfinished = [p.relative_to(newest) for p in newest.rglob("*.tmp") if is_aside(p)]
        with suppress(FileNotFoundError):
            newest.rename(partial)
            for name in unfinished:
                (partial / name).unlink(missing_ok=True)
            break
    partial.mkdir(exist_ok=True)
    for other in former:
        _delete(other)
    flush(path.parent)
    return partial


def _explain_loss(hold: Hold, error: Exception) -> None:
    """Raise the cause of an error if that is a lost lease: the folder is no longer ours either."""
    try:
        still_ours(hold)
    except StoreError as lost:
        raise lost from error


def lease_of(path: Path) -> Path:
    """Return where the lease is."""
    return path.with_name(f"{path.name}.lease")


def partials_of(path: Path) -> list[Path]:
    """Return the folders of unfinished builds, that of the latest last."""
    found = [p for p in _left_of(path) if _PARTIAL.fullmatch(p.name, len(path.name)) and p.is_dir()]
    return sorted(found, key=_last_changed)


def partial_of(path: Path) -> Path | None:
    """Return the folder that is being built now, or else the latest that was left, if any."""
    holder = look(lease_of(path))
    found = partials_of(path)
    if holder is not None and holder.builder is not None:
        held = path.with_name(f"{path.name}.{holder.builder.nonce}.partial")
        if held in found:
            return held
    return found[-1] if found else None


def state_of(path: Path) -> State:
    """Return the state of what is built at a path.

    `stale`: there is a lease whose holder shows no sign of life. The next build looks at it for
    lease.STALE_SECONDS and goes on.
    """
    if path.is_dir():
        return "cached"
    holder = look(lease_of(path))
    if holder is not None and holder.life != "gone":
        return "stale" if leases.is_silent(holder) else "running"
    return "partial" if partials_of(path) else "to do"


def folder_of_launch(launch: str, path: Path) -> Path | None:
    """Return the folder in which a process of this launch (launch.ranks.launch_id) builds now."""
    holder = look(lease_of(path))
    if holder is None or holder.builder is None or holder.builder.launch != launch:
        return None
    return folder_in_work(path)


def folder_in_work(path: Path) -> Path | None:
    """Return the folder in which a process that may live builds now."""
    holder = look(lease_of(path))
    if holder is None or holder.builder is None or holder.life == "gone":
        return None
    partial = path.with_name(f"{path.name}.{holder.builder.nonce}.partial")
    return partial if partial.is_dir() else None


def unfinished_in(folder: Path) -> list[tuple[str, str]]:
    """Return (key, state) of unfinished builds in a folder, by key.

    Empty for an unreadable folder; the listing of the store reports that.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    pattern = re.compile(r"([^.]+)(?:\.lease|(?:\.[0-9a-f]{12})?\.partial)")
    found = {m[1] for name in names if (m := pattern.fullmatch(name))}
    states = [(key, state_of(folder / key)) for key in sorted(found)]
    return [(key, state) for key, state in states if state not in ("cached", "to do")]


def remove(path: Path) -> int:
    """Delete an artefact, unfinished builds of it, and a lease without a holder.

    Returns the bytes freed. It is renamed first, so that a kill half-way leaves nothing that looks
    complete. Raises StoreError while it is being built; an unseen holder is watched for three
    heartbeats.
    """
    holder = look(lease_of(path))
    if holder is not None and not path.is_dir():
        is_sound = holder.builder is not None or holder.is_hidden
        if is_sound and leases.shows_life(holder, within_seconds=3 * leases.HEARTBEAT_SECONDS):
            name = f"{path.parent.name}/{path.name}"
            raise StoreError(
                problem(
                    "artefact-in-use",
                    "{artefact}: being built by {holder}; {remedy}",
                    artefact=name,
                    holder=str(holder),
                    remedy=leases.way_out(holder),
                )
            )
    freed = 0
    for victim in (path, *_left_of(path)):
        with suppress(FileNotFoundError):
            if victim.is_dir() and not victim.is_symlink():
                freed += sum(f.stat().st_size for f in victim.rglob("*") if f.is_file())
            elif not os.path.lexists(victim):
                continue
            _delete(victim)
    return freed


def is_anything(path: Path) -> bool:
    """Return whether there is something of it, finished or not, or a lease."""
    return os.path.lexists(path) or bool(_left_of(path))


def tidy(path: Path) -> None:
    """Delete what kills left beside a finished artefact, unless it is being built."""
    holder = look(lease_of(path))
    if holder is None or leases.is_silent(holder):
        with suppress(PermissionError):  # of another user: no harm in leaving it there
            _tidy(path, lease=True)


def _tidy(path: Path, *, lease: bool) -> None:
    # an unbundling in progress has a folder of that kind with a longer name: not one of these
    ours = re.compile(r"\.lease\..+|\.(?:[0-9a-f]{12}\.)?partial|.*\.removed")
    for left in _left_of(path):
        if ours.fullmatch(left.name, len(path.name)) or (lease and left == lease_of(path)):
            _delete(left)


def _left_of(path: Path) -> list[Path]:
    """Return everything beside `path` that belongs to it by name."""
    if not path.parent.is_dir():
        return []
    begin = f"{path.name}."
    return sorted(p for p in path.parent.iterdir() if p.name.startswith(begin))


def _last_changed(folder: Path) -> int:
    times = [0]
    for path in (folder, *folder.iterdir()):
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime_ns)
    return max(times)


def _delete(path: Path) -> None:
    """Delete a file or a folder; a folder is renamed first."""
    with suppress(FileNotFoundError):  # another process was faster
        if path.is_dir() and not path.is_symlink():
            doomed = path
            if path.suffix != ".removed":
                doomed = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.removed")
                path.rename(doomed)
            shutil.rmtree(doomed)
        else:
            path.unlink()
