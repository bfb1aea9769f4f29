"""Downloads from the web, within bounds of size and time."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from finetune.errors import DataError, InputError, StoreError
from finetune.messages import Place, Sentence, problem, sentence
from finetune.output.console import Console
from finetune.output.durations import duration
from finetune.sources.download_progress import shown
from finetune.sources.hosts import Target, target_of
from finetune.sources.hub_fetch import hide
from finetune.spec.values import web_address

MOST_HOPS = 10
MOST_GIB = "FINETUNE_FETCH_GIB"
"""The variable that sets the maximum size of a web file in GiB."""
_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits on the size and duration of a download."""

    most_bytes: int = 64 * 2**30
    margin_bytes: int = 2**30
    """Space to keep free on the disk."""
    answer_seconds: float = 120.0
    """Until the server has answered, headers and all, and between two pieces of the body."""
    silence_seconds: float = 60.0
    window_seconds: float = 60.0
    window_bytes: int = 30 * 2**10
    """Minimum number of bytes per window: 512 bytes per second. A link of 5 KB/s passes."""
    most_seconds: float = 7 * 86400.0


BOUNDS = Bounds()


class NotServedError(Exception):
    """A server answered with something other than the file."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"HTTP {status}")


def download(address: str, target: Path, *, at: Place, label: str, console: Console) -> str:
    """Stream the file of an address to disk; return its sha256.

    Partial files are removed. `at`: the place of problems; `label`: the file in the display of
    progress.

    Raises:
        NotServedError: the server answered, but not with the file (HTTP 404 and others).
        InputError: an address that leads elsewhere than it may, or too large a file.
        StoreError: no network, the server failed, or hardly sends anything.
    """
    import httpx2

    try:
        with _answered(address, at=at) as reply:
            status = reply.response.status_code
            if status != 200:
                raise NotServedError(status)
            return _write(reply, target, at=at, label=label, console=console)
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        target.unlink(missing_ok=True)
        raise StoreError(
            problem(
                "no-network",
                "cannot be fetched ({why}); run `finetune fetch` on a machine with network access",
                at=at,
                why=hide(error),
            )
        ) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise


@contextmanager
def _answered(address: str, *, at: Place) -> Iterator[_Reply]:
    """Give the answer of an address, after at most `MOST_HOPS` redirects that were looked at."""
    import httpx2

    there = address
    for _ in range(MOST_HOPS + 1):
        try:
            url = httpx2.URL(there)
        except httpx2.InvalidURL as error:
            why = str(error)
            raise InputError(
                problem("bad-address", "is no address that can be fetched ({why})", at=at, why=why)
            ) from None
        target = target_of(there, named=address, at=at)
        with _asked(url, target, at=at) as reply:
            if not reply.response.has_redirect_location:
                yield reply
                return
            there = _next(there, reply.response.headers["Location"], at=at)
    raise InputError(
        problem("many-redirects", "redirects more than {limit} times", at=at, limit=MOST_HOPS)
    )


def _next(address: str, location: str, *, at: Place) -> str:
    """Return the target of a redirect; InputError for one that is not allowed."""
    try:
        there = urljoin(address, location)
        parts = urlsplit(there)
        host, _ = web_address.host_of(there), parts.port
    except ValueError:
        raise InputError(
            problem("bad-redirect", "redirects to an invalid address", at=at)
        ) from None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc:
        raise InputError(
            problem(
                "bad-redirect",
                "redirects to {scheme}:, or asks for a login; use a real address",
                at=at,
                scheme=parts.scheme,
            )
        )
    if parts.scheme == "http" and urlsplit(address).scheme == "https":
        raise InputError(
            problem(
                "bad-redirect",
                "redirects to http: on {host}; use its real address",
                at=at,
                host=host,
            )
        )
    return there


@contextmanager
def _asked(url: Any, target: Target, *, at: Place) -> Iterator[_Reply]:
    """Give the answer of a server, its body unread; a new connection, without cookies."""
    import httpx2

    limits = httpx2.Timeout(BOUNDS.silence_seconds, connect=min(30.0, BOUNDS.answer_seconds))
    headers = {"Accept-Encoding": "identity"}
    if target.proxy is not None:
        with httpx2.Client(proxy=target.proxy, timeout=limits) as client:
            request = client.build_request("GET", url, headers=headers)
            with _sent(client, request, at=at) as reply:
                yield reply
        return
    # the address that was checked, whatever a second look-up returns; TLS checks the name
    headers["Host"] = url.netloc.decode("ascii")
    named = {"sni_hostname": target.host} if target.host not in target.addresses else {}
    # given, so that no proxy of the environment comes between; plain http needs no certificates
    transport = httpx2.HTTPTransport(verify=url.scheme == "https")
    with httpx2.Client(transport=transport, timeout=limits) as client:
        for number, address in enumerate(target.addresses, start=1):
            request = client.build_request(
                "GET", url.copy_with(host=address), headers=headers, extensions=named
            )
            try:
                with _sent(client, request, at=at) as reply:
                    yield reply
                return
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if number == len(target.addresses):
                    raise


@contextmanager
def _sent(client: Any, request: Any, *, at: Place) -> Iterator[_Reply]:
    """Send a request; StoreError if answer or body get no further for a long time."""
    watch = _Watch(client)
    try:
        response = client.send(request, stream=True)
        watch.got_on()
        yield _Reply(response, watch)
    except Exception:
        if watch.is_late:  # then it is the closed connection that failed
            raise StoreError(
                problem(
                    "slow-server",
                    "the server made no progress for {duration}; fetch again later",
                    at=at,
                    duration=duration(BOUNDS.answer_seconds),
                )
            ) from None
        raise
    finally:
        watch.end()


@dataclass(frozen=True, slots=True)
class _Reply:
    """A server's answer whose body is not read yet, and what watches it."""

    response: Any
    watch: _Watch


class _Watch:
    """Closes the connections of a client that got no further for `answer_seconds`.

    Time limits of single reads do not end a server that sends a byte of its headers now and then.
    """

    def __init__(self, client: Any) -> None:
        self.is_late = False
        self._client = client
        self._ended = threading.Event()
        self.got_on()
        threading.Thread(target=self._run, daemon=True).start()

    def got_on(self) -> None:
        """Note that data arrived."""
        self._until = time.monotonic() + BOUNDS.answer_seconds

    def end(self) -> None:
        """Watch no longer."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(max(self._until - time.monotonic(), 0.01)):
            if time.monotonic() >= self._until:
                self.is_late = True
                self._client.close()
                return


def _write(reply: _Reply, target: Path, *, at: Place, label: str, console: Console) -> str:
    """Write a body to a file, within bounds, and show how far it is; return its sha256."""
    most = _most_bytes(target.parent)
    size = _announced(reply.response)
    if size is not None and size > most:
        raise _too_large(at, size, most)
    digest, written, pace = hashlib.sha256(), 0, _Pace(at)
    unpacker = _unpacker(reply.response, at=at)
    with target.open("wb") as out, shown(console, label, size) as show:
        for packed in reply.response.iter_raw():
            reply.watch.got_on()
            for block in unpacker(packed):
                digest.update(block)
                out.write(block)
                written += len(block)
                if written > most:
                    raise _too_large(at, None, most)
            pace.check(reply.response.num_bytes_downloaded)
            show(written, pace.seconds)
    return digest.hexdigest()


def _unpacker(response: Any, *, at: Place) -> Callable[[bytes], Iterator[bytes]]:
    """Return what undoes the packing of a server that packs although it was asked not to."""
    how = response.headers.get("Content-Encoding", "identity").strip().lower()
    if how in ("", "identity"):
        return lambda packed: iter((packed,))
    if how not in ("gzip", "x-gzip", "deflate"):
        raise InputError(
            problem(
                "unknown-compression",
                "the server compresses it as {method!r}, which is not supported",
                at=at,
                method=how[:40],
            )
        )
    inflate = zlib.decompressobj(wbits=47)

    def unpacked(packed: bytes) -> Iterator[bytes]:
        try:
            while not inflate.eof:
                block = inflate.decompress(packed, _BLOCK_BYTES)
                packed = inflate.unconsumed_tail
                if block:
                    yield block
                elif not packed:
                    return
        except zlib.error as error:
            why = str(error)
            raise DataError(
                problem("damaged-answer", "the server sent damaged data ({why})", at=at, why=why)
            ) from None

    return unpacked


class _Pace:
    """Watches that a download gets on; owns the clock of one."""

    def __init__(self, at: Place) -> None:
        self._at = at
        self._start = self._mark = time.monotonic()
        self._bytes = 0

    @property
    def seconds(self) -> float:
        """Since the download began."""
        return time.monotonic() - self._start

    def check(self, written: int) -> None:
        """Raise StoreError for a stalled download, or one beyond its time limit."""
        now = time.monotonic()
        if now - self._start > BOUNDS.most_seconds:
            raise StoreError(
                problem(
                    "slow-server",
                    "is incomplete after {duration}; get the file in another way and make it a "
                    "file beside the card (source.kind: files)",
                    at=self._at,
                    duration=duration(BOUNDS.most_seconds),
                )
            )
        if now - self._mark < BOUNDS.window_seconds:
            return
        if written - self._bytes < BOUNDS.window_bytes:
            raise StoreError(
                problem(
                    "slow-server",
                    "the server sent {count} bytes in {duration}; fetch again later",
                    at=self._at,
                    count=written - self._bytes,
                    duration=duration(now - self._mark),
                )
            )
        self._mark, self._bytes = now, written


def refuse_size(size_bytes: int, folder: Path, *, at: Place) -> None:
    """Raise InputError for a file that is larger than one may be, or than the disk has room for."""
    if size_bytes > (most := _most_bytes(folder)):
        raise _too_large(at, size_bytes, most)


def _most_bytes(folder: Path) -> int:
    """Return how large a file may be: as set, and so that the disk keeps some room."""
    free = shutil.disk_usage(folder).free - BOUNDS.margin_bytes
    return min(_set_bytes(), max(free, 0))


def _set_bytes() -> int:
    text = os.environ.get(MOST_GIB, "")
    try:
        asked = float(text) if text else BOUNDS.most_bytes / 2**30
        if not 0 < asked < 2**20:
            raise ValueError(text)
    except ValueError:
        raise InputError(
            problem(
                "bad-variable",
                "{name}={value}: must be a number of GiB, e.g. 200",
                name=MOST_GIB,
                value=text,
            )
        ) from None
    return int(asked * 2**30)


def _announced(response: Any) -> int | None:
    """Return the bytes that a server announces, None without them or if they are packed."""
    text = response.headers.get("Content-Length", "")
    packed = response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity")
    return (
        int(text) if text.isascii() and text.isdigit() and len(text) < 20 and not packed else None
    )


def _too_large(at: Place, size: int | None, most: int) -> InputError:
    room: Sentence = sentence("sends more than {gib:,.3g} GiB", gib=most / 2**30)
    if size is not None:
        room = sentence(
            "has {gib:,.3g} GiB, and there is room for {room:,.3g} GiB",
            gib=size / 2**30,
            room=most / 2**30,
        )
    return InputError(
        problem(
            "large-download",
            "{room}. The limit is {limit:,.3g} GiB (export {name}=N sets another), and the free "
            "space of the disk without {margin:,.3g} GiB",
            at=at,
            room=room,
            limit=_set_bytes() / 2**30,
            name=MOST_GIB,
            margin=BOUNDS.margin_bytes / 2**30,
        )
    )
