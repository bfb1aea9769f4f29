"""A stop that was asked for: a signal sets a flag, the loop looks at it where it can stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


class Interrupted(Exception):
    """Unwinds a step or a validation to the last step boundary; never leaves this package."""


@dataclass(slots=True)
class StopFlag:
    """Whether, and by which signal, a stop was asked for."""

    reason: str | None = None

    def check(self, agree: Callable[[bool], bool] = bool) -> None:
        """Raise `Interrupted` when a stop was asked for.

        With several ranks `agree` says whether it was asked of any, so that all unwind together.
        """
        if agree(self.reason is not None):
            raise Interrupted(self.reason or "on another rank")


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Turn SIGTERM, SIGUSR1 (schedulers warn with it) and SIGINT into a flag while the block runs.

    A second SIGINT acts as it did before, so that a person who insists gets out at once.
    Outside the main thread Python allows no handlers, and the flag is only ever set by hand.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    asking = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in asking}

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001, the signature is given
        flag.reason = signal.Signals(number).name
        if number == signal.SIGINT:
            signal.signal(number, before[signal.SIGINT])

    for number in before:
        signal.signal(number, ask)
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
