"""Processes that try: one that dies is replaced, and nothing of the others is lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from tests.nightly.parts import Part
from tests.nightly.verdict import Verdict

Call = tuple[int, int]
"""Seed and count."""
Found = tuple[list[Verdict], float]
"""A verdict a trial, and the processor time of all."""


class Workers:
    """A pool of processes; the call that one dies of counts as a failure."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.pool = self._new()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _new(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.count, mp_context=multiprocessing.get_context("spawn"))

    def results(
        self, part: Part, calls: list[Call], *, until: float | None
    ) -> Iterator[tuple[Call, Found]]:
        """Yield each call with what it found, as they come in; begin none after `until`."""
        waiting = list(reversed(calls))
        running: dict[Future[Found], Call] = {}
        while waiting or running:
            late = until is not None and time.monotonic() > until
            while waiting and len(running) < self.count and not late:
                call = waiting.pop()
                running[self.pool.submit(_try, part, call)] = call
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                call = running.pop(future)
                try:
                    yield call, future.result()
                except BrokenProcessPool:
                    yield call, ([Verdict(f"{part.name}", ("the process died",))], 0.0)
                    waiting.extend(running.values())
                    running.clear()
                    self.pool = self._new()
                    break


def _try(part: Part, call: Call) -> Found:
    """Make the trials of one call, in a worker."""
    _quiet()
    begun = _cpu_seconds()
    verdicts: list[Verdict] = []
    try:
        verdicts += [
            Verdict(found.case, tuple(found.problems), getattr(found, "seed", None))
            for found in part.load()(seed=call[0], count=call[1])
        ]
    except Exception:
        said = traceback.format_exc(limit=-3)
        verdicts.append(Verdict("the program of the trials failed", (said,)))
    return verdicts, _cpu_seconds() - begun


def _quiet() -> None:
    """One thread a worker; Ctrl-C is for the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
