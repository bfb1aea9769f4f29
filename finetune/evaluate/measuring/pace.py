"""Progress of a measurement: items done over all systems and tasks, and the time left.

Items of different tasks take different times, so the time left follows the pace of each kind of
shard; a kind that was not measured yet is taken for the mean of the others. Shards that other
processes measured meanwhile count as done.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from finetune.output.work import Bar

Kind = Hashable
Counts = Callable[[], tuple[Mapping[Kind, int], Mapping[Kind, int]]]
"""() -> items done and items left, by kind."""


@dataclass(slots=True)
class Pace:
    """The pace of one process, and what it shows of it."""

    counts: Counts
    bar: Bar
    clock: Callable[[], float] = time.monotonic
    begun: float | None = field(default=None, init=False)
    seconds: dict[Kind, float] = field(default_factory=dict, init=False)
    items: Counter[Kind] = field(default_factory=Counter, init=False)
    before: Mapping[Kind, int] = field(default_factory=dict, init=False)
    """Items done when this process began."""

    @contextmanager
    def measuring(self, kind: Kind, items: int) -> Iterator[None]:
        """Take the time of a shard."""
        started = self.clock()
        if self.begun is None:
            self.begun, self.before = started, dict(self.counts()[0])
        yield
        self.seconds[kind] = self.seconds.get(kind, 0.0) + self.clock() - started
        self.items[kind] += items

    def show(self) -> None:
        """Show what is done."""
        done, left = self.counts()
        seconds = self._seconds_left(done, left)
        known = {} if seconds is None else {"seconds_left": seconds}
        self.bar.update(sum(done.values()), **known)

    def _seconds_left(self, done: Mapping[Kind, int], left: Mapping[Kind, int]) -> float | None:
        if self.begun is None or not self.items.total():
            return None
        mean = sum(self.seconds.values()) / self.items.total()

        def cost(counted: Mapping[Kind, int]) -> float:
            return sum(n * self._each(kind, mean) for kind, n in counted.items())

        gained = {kind: n - self.before.get(kind, 0) for kind, n in done.items()}
        spent = cost(gained)
        return cost(left) * (self.clock() - self.begun) / spent if spent > 0 else None

    def _each(self, kind: Kind, mean: float) -> float:
        return self.seconds[kind] / self.items[kind] if self.items[kind] else mean
