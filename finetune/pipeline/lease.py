"""Leases of builders: files whose content changes while the builder lives.

A file and not flock, because flock does not hold on shared file systems. The rules:

- A lease is complete when it is there: written aside, synced, linked, its folder synced. So one
  that cannot be read was damaged by a machine that stopped; it counts as a holder without a name.
- The holder counts up a number in the file (`Builder.beat`), through the descriptor that it opened
  when it took the lease. If the lease was taken away meanwhile, it cannot reach another's file.
- A waiting process concludes that a holder is gone if it can see it (`builder.life_of`: same boot
  and namespaces, no such process; or an earlier attempt at the same batch job), and else only if
  the file did not change while it looked for STALE_SECONDS of its own steady clock. Times of
  different clocks are never compared, so wrong clocks change nothing.
- A holder may be suspended for longer than that and come back. So each builds in a folder with the
  nonce of its lease in its name (`finetune.pipeline.build`), where it is harmless, and calls
  `still_ours` right before it puts anything in the place of something.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import shlex
import shutil
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from finetune.errors import StoreError
from finetune.messages import Place, Sentence, problem, sentence
from finetune.output.durable import aside_of, flush
from finetune.output.small_files import UnreadableError, parse_json, read_bytes
from finetune.pipeline.builder import Builder, Life, life_of, this_builder

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 120.0
"""A holder that cannot be seen, and whose lease did not change for so long, is gone."""
POLL_SECONDS = 0.5
TELL_SECONDS = 60.0
MOST_BYTES = 64 * 1024
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_BEAT = "000000000000"


@dataclass(frozen=True, slots=True)
class Holder:
    """State of an existing lease at one moment."""

    path: Path
    builder: Builder | None
    """None if the file cannot be read."""
    trouble: str
    """Reason, if not."""
    is_hidden: bool
    """True if it may be sound, and only this user cannot read it."""
    life: Life
    mark: tuple[object, ...]
    """Changes with every heartbeat and with the holder."""

    def __str__(self) -> str:
        """Return who it is, for people, in one line."""
        if self.builder is None:
            return f"an unknown holder ({self.path.name}: {self.trouble})"
        return str(self.builder)


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease that this process took."""

    path: Path
    nonce: str


@dataclass(frozen=True, slots=True)
class _Watched:
    """Observations of a holder by a waiting process."""

    mark: tuple[object, ...] | None = None
    quiet_seconds: float = 0.0
    """For how long it was looked at and did not change."""
    at: float = 0.0


@contextmanager
def leased(
    path: Path,
    *,
    waiting: Callable[[str], None],
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[Hold]:
    """Hold the lease at `path`, waiting for a holder that lives.

    `waiting` gets a line with holder, time and remedy, and again every minute. `meanwhile` is
    called again and again while another process holds it.
    """
    nonce = uuid.uuid4().hex[:12]
    descriptor = _wait_and_take(path, nonce, waiting=waiting, meanwhile=meanwhile)
    with _held(Hold(path, nonce), descriptor) as hold:
        yield hold


@contextmanager
def leased_if_free(path: Path) -> Iterator[Hold | None]:
    """Hold the lease at `path` unless another holder may live: then give None, without waiting."""
    nonce = uuid.uuid4().hex[:12]
    descriptor = _take(path, nonce)
    if descriptor is None and (holder := look(path)) is not None and holder.life == "gone":
        _retire(path, holder)
        descriptor = _take(path, nonce)
    if descriptor is None:
        yield None
        return
    with _held(Hold(path, nonce), descriptor) as hold:
        yield hold


@contextmanager
def _held(hold: Hold, descriptor: int) -> Iterator[Hold]:
    """Let the heart of a lease beat inside the block; let go afterwards."""
    _sweep(hold.path)
    done = threading.Event()
    heart = threading.Thread(target=_beat, args=(descriptor, done), daemon=True)
    heart.start()
    try:
        yield hold
    finally:
        done.set()
        heart.join()
        os.close(descriptor)
        _let_go(hold)


def look(path: Path) -> Holder | None:
    """Return the holder of the lease at `path`, None without one. Its content raises nothing."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return None
    builder, trouble, content, is_hidden = None, "", b"", False
    try:
        content = read_bytes(path, max_bytes=MOST_BYTES)
        builder = parse_json(content, Builder)
    except FileNotFoundError:
        if not stat.S_ISLNK(facts.st_mode):
            return None  # let go at this moment
        trouble = "is a link to nothing"
    except UnreadableError as error:
        trouble = "is empty" if facts.st_size == 0 and not content else f"unreadable, {error}"
    except OSError as error:
        trouble, is_hidden = f"cannot be read, {error.strerror}", True
    mark = (content, facts.st_ino, facts.st_mtime_ns, facts.st_size)
    life = life_of(builder) if builder else "unseen"
    return Holder(path, builder, trouble, is_hidden, life, mark)


def is_silent(holder: Holder) -> bool:
    """True if a holder shows no sign of life now, judged at once: for telling, not for taking.

    The age of the lease is taken by the clock of its file system. StoreError as `life_of`.
    """
    if holder.life != "unseen":
        return holder.life == "gone"
    age = seconds_since_beat(holder.path)
    if age is None or (holder.builder is None and not holder.is_hidden):
        return True
    return abs(age) > STALE_SECONDS


def seconds_since_beat(path: Path) -> float | None:
    """Return the age of the last heartbeat by the file system's own clock; None without a lease."""
    try:
        beat = path.lstat().st_mtime
    except OSError:
        return None
    probe = aside_of(path)
    try:
        probe.touch(exist_ok=False)
        now = probe.stat().st_mtime
    except OSError:
        now = time.time()  # a store that one may only read
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return now - beat


def shows_life(holder: Holder, *, within_seconds: float) -> bool:
    """Look at a lease until it changes, or for so long; return whether its holder lives."""
    watched = _Watched()
    now: Holder | None = holder
    while now is not None and now.life == "unseen":
        watched = _watch(watched, now, at=time.monotonic())
        if watched.quiet_seconds >= within_seconds:
            return False
        time.sleep(POLL_SECONDS)
        now = look(holder.path)
        if now is not None and now.mark != watched.mark:
            return True
    return now is not None and now.life == "alive"


def is_ours(hold: Hold) -> bool:
    """Return whether the lease is still held by this process."""
    holder = look(hold.path)
    return holder is not None and holder.builder is not None and holder.builder.nonce == hold.nonce


def still_ours(hold: Hold) -> None:
    """Raise StoreError if another process took the lease meanwhile."""
    if not is_ours(hold):
        raise StoreError(
            problem(
                "lease-taken-over",
                "another process took this build over (was this one suspended for more than "
                "{seconds:.0f} s, or its lease deleted?); run the same command again",
                at=Place(hold.path),
                seconds=STALE_SECONDS,
            )
        )


def _wait_and_take(
    path: Path, nonce: str, *, waiting: Callable[[str], None], meanwhile: Callable[[], None]
) -> int:
    began = time.monotonic()
    reported: float | None = None
    watched = _Watched()
    while True:
        descriptor = _take(path, nonce)
        if descriptor is not None:
            return descriptor
        holder = look(path)
        if holder is not None:
            watched = _watch(watched, holder, at=time.monotonic())
            quiet = holder.life == "unseen" and watched.quiet_seconds >= STALE_SECONDS
            if holder.life == "gone" or quiet:
                _retire(path, holder)
                continue
            now = time.monotonic()
            if reported is None or now - reported >= TELL_SECONDS:
                reported = now
                waiting(_waiting_line(holder, watched, waited_seconds=now - began))
            meanwhile()
        time.sleep(POLL_SECONDS)


def _watch(before: _Watched, holder: Holder, *, at: float) -> _Watched:
    """Count how long a lease was observed without a change; unobserved time does not count.

    The waiting process may be suspended as well, or blocked by the disk. `at`: now, in seconds of a
    monotonic clock.
    """
    if holder.mark != before.mark:
        return _Watched(holder.mark, 0.0, at)
    looked = min(at - before.at, 4 * POLL_SECONDS)
    return _Watched(holder.mark, before.quiet_seconds + looked, at)


def way_out(holder: Holder) -> Sentence:
    """Return what ends the waiting for a holder."""
    if holder.life == "alive" and holder.builder is not None:
        return sentence(
            "it is running on this machine; to stop it: kill {pid:d}", pid=holder.builder.pid
        )
    return sentence(
        "it is taken over once its lease is unchanged for {seconds:.0f} s; if you know that no "
        "process builds it: rm {path}",
        seconds=STALE_SECONDS,
        path=shlex.quote(str(holder.path)),
    )


def _waiting_line(holder: Holder, watched: _Watched, *, waited_seconds: float) -> str:
    what = f"{holder.path.parent.name}/{holder.path.stem}"
    so_far = f" for {waited_seconds:.0f} s so far" if waited_seconds >= 1 else ""
    quiet = watched.quiet_seconds
    still = f" (unchanged for {quiet:.0f} s)" if holder.life == "unseen" and quiet >= 1 else ""
    return f"waiting: {what}{so_far}, held by {holder}{still}; {way_out(holder)}"


def _take(path: Path, nonce: str) -> int | None:
    """Return the descriptor of a lease that was put at `path`; None if one is there."""
    aside = path.with_name(f"{path.name}.{nonce}")
    _create(aside, _content(nonce))
    try:
        os.link(aside, path)  # atomic, and never shows an empty lease
    except FileExistsError:
        return _opened(path, nonce)  # over NFS this may be the answer to a link that was made
    except FileNotFoundError:  # swept away by its new holder
        if not path.parent.is_dir():
            raise
        return None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            _create(path, _content(nonce))
        except FileExistsError:
            return None
    finally:
        aside.unlink(missing_ok=True)
    flush(path.parent)
    return _opened(path, nonce)


def _create(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    try:
        if os.write(descriptor, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _opened(path: Path, nonce: str) -> int | None:
    """Return a descriptor of a lease if it is ours, None if it was taken in the same instant.

    It is opened only now: NFS keeps what is deleted while it is open, and some file systems
    without links copy instead.
    """
    if not is_ours(Hold(path, nonce)):
        return None
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None


def _sweep(path: Path) -> None:
    """Delete what kills left of former leases; processes that wait now try again."""
    for left in path.parent.glob(f"{glob.escape(path.name)}.*"):
        with suppress(PermissionError):  # another user's, where one may delete one's own only
            discard(left)


def _content(nonce: str) -> bytes:
    """Return a lease as bytes; the beat stands first, so that its place does not change."""
    facts = asdict(this_builder(nonce, beat=_BEAT))
    return json.dumps({"beat": facts.pop("beat")} | facts).encode()


def _beat(descriptor: int, done: threading.Event) -> None:
    count = 0
    place = len('{"beat": "')
    while not done.wait(HEARTBEAT_SECONDS):
        count += 1
        # a heartbeat that the disk refuses is not seen; `still_ours` finds the consequence
        with suppress(OSError):
            os.pwrite(descriptor, f"{count:0{len(_BEAT)}d}".encode(), place)
            os.fsync(descriptor)


def _let_go(hold: Hold) -> None:
    holder = look(hold.path)
    if holder is not None and holder.builder is not None and holder.builder.nonce == hold.nonce:
        _retire(hold.path, holder)
        flush(hold.path.parent)


def _retire(path: Path, judged: Holder) -> None:
    """Move a lease away; put it back if it is not the one that was judged."""
    tomb = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.stale")
    try:
        path.rename(tomb)
    except FileNotFoundError:
        return
    taken = look(tomb)
    if taken is not None and taken.mark != judged.mark:
        with suppress(OSError):  # its owner finds out before it commits
            os.link(tomb, path)
    discard(tomb)


def discard(path: Path) -> None:
    """Delete a lease or what lies in its place, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
