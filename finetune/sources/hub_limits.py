"""Limits of a hub's answers: bytes of one, bytes of all, and time.

The clients read until a server stops, and wait as long as a byte comes now and then. Their session
is limited here: by the sizes in the repository's list of files, and by a minimum rate.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

MAX_ANSWER_BYTES = 64 * 2**20
"""Of an answer that is no file of the list: lists, facts, redirects."""
MAX_FILES = 200_000
SLOWEST_BYTES_PER_SECOND = 1024
PATIENCE_SECONDS = 120.0
SILENCE_SECONDS = 60.0


class TooMuch(Exception):
    """A server sent more than it announced, or so slowly that there is no end to it."""


@contextmanager
def watched(client: Any, sizes: Mapping[str, int]) -> Iterator[None]:
    """Watch an HTTP client (of huggingface_hub) while files of these sizes (bytes) are fetched.

    Raises TooMuch inside the client for a server that does not end. Some clients pass it on in an
    error of their own.
    """
    before, timeout = client.event_hooks, client.timeout
    watch = _watch(
        largest=max(sizes.values(), default=0) + MAX_ANSWER_BYTES,
        whole=2 * sum(sizes.values()) + MAX_ANSWER_BYTES * 16,
    )
    client.event_hooks = {**before, "response": [*before.get("response", ()), watch]}
    client.timeout = SILENCE_SECONDS
    try:
        yield
    finally:
        client.event_hooks, client.timeout = before, timeout


def _watch(*, largest: int, whole: int) -> Any:
    """Return what looks at each answer and counts it while it is read."""
    import httpx2

    began, seen = time.monotonic(), [0]

    def count(size: int, of_answer: int) -> None:
        seen[0] += size
        if of_answer > largest or seen[0] > whole:
            raise TooMuch(
                f"the server sends more than its list of files states ({seen[0] / 2**20:.0f} MiB)"
            )
        seconds = time.monotonic() - began
        if seconds > PATIENCE_SECONDS and seen[0] < SLOWEST_BYTES_PER_SECOND * seconds:
            raise TooMuch(
                f"the server sent {seen[0]:,} bytes in {seconds:.0f} seconds, which would take for "
                "ever"
            )

    class Counted(httpx2.SyncByteStream):
        """The body of an answer, counted."""

        def __init__(self, body: Any) -> None:
            self.body = body

        def __iter__(self) -> Iterator[bytes]:
            had = 0
            for block in self.body:
                had += len(block)
                count(len(block), had)
                yield block

        def close(self) -> None:
            self.body.close()

    def look(response: Any) -> None:
        count(0, 0)
        response.stream = Counted(response.stream)

    return look
