"""Progress as one line: units done, how the work goes, and the time left.

In a terminal the line has a bar and fits the width; in a log it has a time stamp.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from finetune.messages import ENGLISH, sentence
from finetune.output import terminal
from finetune.output.durations import duration

LONGEST_BAR, SHORTEST_BAR = 30, 4
LOG_PARTS = 10
"""Lines of a log per piece of work, at least."""
LOG_SECONDS = 120.0
"""Longest time without a line in a log, as long as something is done."""
_SHORT = {"learning_rate": "lr"}
_SPEEDS = {"tokens_per_second": "tokens/s", "words_per_second": "words/s"}
_LATE = ("learning_rate", "tokens_per_second")
"""Facts that give way first where a line is too long."""


class Bar(Protocol):
    """A running progress bar."""

    def update(self, completed: float, **fields: Any) -> None:
        """Show that `completed` units are done; `fields` (loss, tokens_per_second) stand beside."""


@dataclass(slots=True)
class Work:
    """A piece of work in progress."""

    title: str
    total: float
    unit: str = "steps"
    start: float = 0
    """Units done by an earlier start."""
    language: str = ENGLISH
    """Of the time left; title and unit are shown as they are."""
    clock: Callable[[], float] = time.monotonic
    done: float = field(init=False)
    fields: Mapping[str, Any] = field(default_factory=dict, init=False)
    begun: float = field(init=False)
    updated: float = field(init=False)

    def __post_init__(self) -> None:
        self.done = self.start
        self.begun = self.updated = self.clock()

    def update(self, completed: float, **fields: Any) -> None:
        """Take over what is done now."""
        self.done, self.fields, self.updated = completed, fields, self.clock()

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end at the mean speed of this start; None before any."""
        given = self.fields.get("seconds_left")
        if given is not None:
            return float(given)
        if self.done <= self.start or self.done >= self.total:
            return None
        each = (self.updated - self.begun) / (self.done - self.start)
        return max(0.0, each * (self.total - self.done) - (self.clock() - self.updated))

    @property
    def count(self) -> str:
        """Units done of all."""
        return f"{self.done:,.0f}/{self.total:,.0f}"

    def bar_line(self, width: int, *, plain: bool = False) -> str:
        """Return the line for a terminal of `width` columns; `plain`: in ASCII.

        The time left stands in every line; where the line is too long, other facts give way.

        >>> work = Work("train", 12, clock=iter([0.0, 60.0, 60.0]).__next__)
        >>> work.update(8, loss=4.783, learning_rate=1.5e-4)
        >>> work.bar_line(60, plain=True)
        'train ######--- 8/12 steps  loss 4.783  lr 1.5e-4  30 s left'
        """
        head, tail = terminal.message(self.title), self._end()
        facts = self._facts()
        names = list(facts)

        def around(unit: str) -> list[str]:
            return [f"{self.count}{unit}", *(facts[name] for name in names), *tail]

        unit = f" {self.unit}"
        for giving_way in ("", *_LATE, *reversed(facts)):
            names = [name for name in names if name != giving_way]
            unit = "" if giving_way else unit
            rest = "  ".join(around(unit))
            if len(head) + len(rest) + SHORTEST_BAR + 2 <= width:
                size = min(LONGEST_BAR, width - len(head) - len(rest) - 2)
                return f"{head} {self._drawn(size, plain=plain)} {rest}"
        return f"{head} {rest}"[:width]

    def log_line(self) -> str:
        """Return the line for a log, after its time stamp."""
        parts = [
            f"{terminal.message(self.title)} {self.count} {self.unit}",
            *self._facts().values(),
            *self._end(),
        ]
        return "  ".join(parts)

    def _drawn(self, size: int, *, plain: bool) -> str:
        done, rest = ("#", "-") if plain else ("━", "─")
        full = round(size * min(1.0, self.done / max(self.total, 1e-9)))
        return done * full + rest * (size - full)

    def _facts(self) -> dict[str, str]:
        fields = {name: value for name, value in self.fields.items() if name != "seconds_left"}
        return {name: terminal.message(_fact(name, value)) for name, value in fields.items()}

    def _end(self) -> list[str]:
        left = self.seconds_left
        if left is not None:
            return [sentence("{duration} left", duration=duration(left)).in_language(self.language)]
        over = self.done >= self.total and self.done > self.start
        took = sentence("in {duration}", duration=duration(self.updated - self.begun))
        return [took.in_language(self.language)] if over else []


@dataclass(slots=True)
class LogLines:
    """The moments of a log's lines: each part of the work, and every two minutes."""

    work: Work
    parts: int = LOG_PARTS
    shown: int = field(init=False)
    last: float = field(init=False)

    def __post_init__(self) -> None:
        self.shown, self.last = (-1 if self.parts > 1 else 0), self.work.clock()

    def due(self) -> bool:
        """Return whether a line is due now, and take it as written."""
        part = int(self.parts * self.work.done / max(self.work.total, 1))
        now = self.work.updated
        if self.parts == 1:  # inside other work, whose end has a line of its own
            part = 0
        if part == self.shown and now - self.last < LOG_SECONDS:
            return False
        self.shown, self.last = part, now
        return True


def stamp() -> str:
    """Return the local time for a line of a log."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _fact(name: str, value: Any) -> str:
    if name in _SPEEDS:
        return f"{number(value)} {_SPEEDS[name]}"
    return f"{_SHORT.get(name, name)} {number(value)}"


def number(value: Any) -> str:
    """Format a number: four significant digits, thousands separators from 1,000 on.

    >>> number(0.00015), number(12345.6), number(4.78312)
    ('1.5e-4', '12,346', '4.783')
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return str(value)
    if 0 < abs(value) < 1e-3:
        digits, _, power = f"{value:.3g}".partition("e")
        digits, power = (digits, power) if power else f"{value:.2e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
