"""Checks of a GPU and what they found: the rows of the tables of `finetune doctor --gpu`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from finetune.errors import first_line

if TYPE_CHECKING:
    from finetune.cluster.doctor.gpu.bench import Bench

State = Literal["ok", "failed", "refused", "skipped"]
"""`refused`: this torch or card cannot do it, and training takes another way; `skipped`: no room or
no time for it."""


@dataclass(frozen=True, slots=True)
class Found:
    """Result of one check."""

    state: State
    text: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Speed and memory of one setting."""

    tokens_per_second: float
    tflops: float
    """Of useful products: nothing that gradient checkpointing computes again."""
    share: float | None
    """Of the card's peak; None if the card is not known."""
    peak_gib: float
    """Most that torch held; 0 on a CPU."""
    estimate_gib: float
    """Memory by `finetune estimate`, without the process itself."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, what is expected, and how it is tried."""

    name: str
    expected: str
    tried: Callable[[Bench], Found]
    packs: bool = True
    """True if it runs packed documents, which a GPU does with a new enough torch only."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    check: str
    expected: str
    found: str
    state: State
    seconds: float


def passed(is_right: bool, text: str) -> Found:
    """Return what a check found, right or wrong."""
    return Found("ok" if is_right else "failed", text)


def rows_of(checks: Sequence[Check], bench: Bench) -> Iterator[Row]:
    """Try all checks in order. An error is a result, and none begins after the time is over."""
    for check in checks:
        begun = bench.seconds
        found = _tried(check, bench)
        bench.tidy()
        yield Row(check.name, check.expected, found.text, found.state, bench.seconds - begun)


def _tried(check: Check, bench: Bench) -> Found:
    if bench.is_over:
        return Found("skipped", f"not begun after {bench.seconds:.0f} s")
    if check.packs and bench.too_old is not None:
        return Found("refused", f"refused: torch {bench.too_old}")
    try:
        return check.tried(bench)
    except (
        Exception
    ) as error:  # whatever a driver, a kernel or a library raises belongs in the table
        return Found("failed", f"{type(error).__name__}: {first_line(error)[:200]}")
