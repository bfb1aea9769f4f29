"""Graceful stop: a signal sets a flag that the loop reads at step boundaries."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from finetune.errors import Stopped
from finetune.messages import Sentence, problem, sentence


class Interrupted(Exception):
    """Unwinds a step or a validation to the last step boundary; never leaves this package."""


@dataclass(slots=True)
class StopFlag:
    """A requested stop, with its signal."""

    reason: str | None = None

    def check(self, agree: Callable[[bool], bool] = bool) -> None:
        """Raise `Interrupted` when a stop was asked for.

        With several ranks `agree` returns whether any was asked, so that all unwind together.
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


def stopped_on_request(when: Sentence, *, reason: str, saved: bool) -> Stopped:
    """Return the error that ends a training run that was asked to stop."""
    state = sentence("its state is saved") if saved else sentence("nothing was trained yet")
    return Stopped(
        problem(
            "stopped",
            "training stopped on request {when} ({reason}); {state}. Rerun the same command to "
            "resume",
            when=when,
            reason=reason,
            state=state,
        )
    )
