"""Repeated requests to a hub that is busy, as it asks for.

The client repeats reads and transfers of files, but neither the creation of a repository nor a
commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from finetune.messages import Sentence, sentence

TRIES = 5
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 300.0
"""A hub that asks for more is given up."""
_BUSY = frozenset({429, 500, 502, 503, 504})
_OTHER_COMMIT = 412
_TRIED_BY_THE_CLIENT = ("/preupload/", "/lfs/")
"""In addresses of requests that come here only after five more tries."""
_Result = TypeVar("_Result")


def patiently(
    request: Callable[[], _Result], *, say: Callable[[Sentence], None] = lambda _: None
) -> _Result:
    """Return what a request returns, tried anew while the hub is busy (429, 5xx).

    The same if another commit came in between (412): `request` looks at the repository each time.
    Waits as long as `Retry-After` asks, else 1, 2, 4 and 8 seconds. Raises its last error.
    """
    from huggingface_hub.errors import HfHubHTTPError

    for number in range(1, TRIES + 1):
        try:
            return request()
        except HfHubHTTPError as error:
            wait = _wait_seconds(error.response, number=number)
            if wait is None or number == TRIES:
                raise
            say(
                sentence(
                    "the server answered HTTP {status:d}; trying again in {seconds:.0f} s",
                    status=error.response.status_code,
                    seconds=wait,
                )
            )
        time.sleep(wait)
    raise AssertionError("unreachable")


def _wait_seconds(response: Any, *, number: int) -> float | None:
    """Return the pause before the next try; None if there should be none."""
    if response.status_code not in (*_BUSY, _OTHER_COMMIT):
        return None
    if any(part in str(response.request.url) for part in _TRIED_BY_THE_CLIENT):
        return None
    asked = retry_after_seconds(response.headers.get("Retry-After"))
    if asked is None:
        asked = FIRST_WAIT_SECONDS * 2 ** (number - 1)
    return asked if asked <= LONGEST_WAIT_SECONDS else None


def retry_after_seconds(value: str | None) -> float | None:
    """Return the seconds of a header `Retry-After` (RFC 9110): a number, or a date.

    >>> retry_after_seconds("7"), retry_after_seconds("soon"), retry_after_seconds(None)
    (7.0, None, None)
    >>> retry_after_seconds("Wed, 21 Oct 2015 07:28:00 GMT")
    0.0
    """
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
