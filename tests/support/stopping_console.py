"""A console whose progress bar sends a signal after a number of training steps."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from finetune.output.console import Console
from finetune.output.work import Bar


@dataclass(slots=True)
class _SignallingBar:
    bar: Bar
    steps: int
    by: signal.Signals

    def update(self, completed: float, **fields: Any) -> None:
        """Show the progress; stop the process at the step that was asked for."""
        self.bar.update(completed, **fields)
        if completed == self.steps:
            os.kill(os.getpid(), self.by)


@dataclass(slots=True)
class StoppingConsole(Console):
    """Console of a run that is stopped when `steps` optimizer steps are done."""

    steps: int = 0
    by: signal.Signals = signal.SIGTERM

    @contextmanager
    def progress(
        self, title: str, *, total: float, unit: str = "steps", start: float = 0
    ) -> Iterator[Bar]:
        """Show a bar that stops the process; that of a validation does not."""
        with Console.progress(self, title, total=total, unit=unit, start=start) as bar:
            yield _SignallingBar(bar, self.steps, self.by) if title == "train" else bar


def stopping_console(
    steps: int, *, out: IO[str] | None = None, by: signal.Signals = signal.SIGTERM
) -> Console:
    """Return a console that keeps its lines and stops the process after so many steps."""
    return StoppingConsole(out=out or io.StringIO(), steps=steps, by=by)
