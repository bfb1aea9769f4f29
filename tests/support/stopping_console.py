"""A console whose progress bar sends a signal after a number of training steps."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from finetune.output.console import Console
from finetune.output.work import Bar


@dataclass(slots=True)
class _SignallingBar:
    bar: Bar
    steps: int
    act: Callable[[], None]

    def update(self, completed: float, **fields: Any) -> None:
        """Show the progress; act at the step that was asked for."""
        self.bar.update(completed, **fields)
        if completed == self.steps:
            self.act()


@dataclass(slots=True)
class StoppingConsole(Console):
    """Console of a run that is stopped when `steps` optimizer steps are done."""

    steps: int = 0
    act: Callable[[], None] = lambda: None

    @contextmanager
    def progress(
        self, title: str, *, total: float, unit: str = "steps", start: float = 0
    ) -> Iterator[Bar]:
        """Show a bar that stops the process; that of a validation does not."""
        with Console.progress(self, title, total=total, unit=unit, start=start) as bar:
            yield _SignallingBar(bar, self.steps, self.act) if title == "train" else bar


def stopping_console(
    steps: int, *, out: IO[str] | None = None, by: signal.Signals = signal.SIGTERM
) -> Console:
    """Return a console that keeps its lines and stops the process after so many steps."""
    act = partial(os.kill, os.getpid(), by)
    return StoppingConsole(out=out or io.StringIO(), steps=steps, act=act)


def sleeping_console(steps: int, *, seconds: float) -> Console:
    """Return a console that lets the process hang for some seconds after so many steps."""
    return StoppingConsole(out=io.StringIO(), steps=steps, act=partial(time.sleep, seconds))
