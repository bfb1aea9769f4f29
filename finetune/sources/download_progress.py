"""Progress of a download, with the remaining time where the size is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from finetune.output.console import Console
from finetune.output.durations import duration

_SHOWN_FROM_BYTES = 4 * 2**20
_UNANNOUNCED_BYTES = 64 * 2**20
"""Interval of the lines about a download of unknown size."""


@contextmanager
def shown(console: Console, label: str, size: int | None) -> Iterator[Callable[[int, float], None]]:
    """Return a function of bytes and seconds that shows them with the remaining time."""
    if size is None:
        announced = 0

        def count(written: int, seconds: float) -> None:
            nonlocal announced
            if written // _UNANNOUNCED_BYTES > announced:
                announced = written // _UNANNOUNCED_BYTES
                console.say(f"{label}: {written / 2**20:,.0f} MiB in {duration(seconds)}")

        yield count
    elif size < _SHOWN_FROM_BYTES:
        yield lambda written, seconds: None  # noqa: ARG005, the signature is that of the others
    else:
        with console.progress(label, total=size / 2**20, unit="MiB") as bar:

            def show(written: int, seconds: float) -> None:
                left = seconds * (size - written) / max(written, 1)
                bar.update(written / 2**20, seconds_left=round(left, 1))

            yield show
