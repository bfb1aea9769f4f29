"""Rows of a micro-batch on a GPU: tried, measured, and halved where memory runs out.

One row is run, forward and backward; from its peak a number is chosen and run in turn, with as many
of the fullest rows. What is recorded was therefore seen, and not computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

MOST_TRIALS = 8
"""Micro-batches that are run at most; each takes about as long as one of the training run."""


class DeviceMemory(Protocol):
    """The memory of a device, as far as the choice of rows asks for it."""

    @property
    def total_bytes(self) -> int:
        """Size of the device."""

    @property
    def available_bytes(self) -> int:
        """Bytes that this process has, or may still take."""

    @property
    def held_bytes(self) -> int:
        """Bytes that tensors of this process fill."""

    @property
    def peak_bytes(self) -> int:
        """Most bytes that they filled since the last `forget`."""

    def forget(self) -> None:
        """Give back what no tensor fills, and begin to look for the peak anew."""


@dataclass(frozen=True, slots=True)
class CudaMemory:
    """The memory of a GPU of NVIDIA or AMD, by torch's allocator."""

    device: torch.device

    @property
    def total_bytes(self) -> int:
        """Size of the GPU."""
        return int(torch.cuda.mem_get_info(self.device)[1])

    @property
    def available_bytes(self) -> int:
        """Free memory, and what torch's allocator took of the rest."""
        free, _ = torch.cuda.mem_get_info(self.device)
        return int(free + torch.cuda.memory_reserved(self.device))

    @property
    def held_bytes(self) -> int:
        """Bytes that torch's allocator gave out."""
        return int(torch.cuda.memory_allocated(self.device))

    @property
    def peak_bytes(self) -> int:
        """Peak of that."""
        torch.cuda.synchronize(self.device)
        return int(torch.cuda.max_memory_allocated(self.device))

    def forget(self) -> None:
        """Empty the allocator's cache and reset its peak."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)


@dataclass(frozen=True, slots=True)
class Trial:
    """A micro-batch that was run."""

    rows: int
    peak_bytes: int


def largest_micro_batch(
    run: Callable[[int], None],
    *,
    memory: DeviceMemory,
    budget_bytes: int,
    choose: Callable[[Callable[[int], bool]], int],
) -> Trial | None:
    """Return the largest micro-batch that was run within a budget; None if one row had no room.

    `run(rows)` takes the fullest rows forward and backward. `choose(fits)` returns the most rows
    that are worth trying (`policy.choose_micro_batch_rows`). One row is taken if it runs at all.
    """
    held, peaks = memory.held_bytes, dict[int, int]()
    most: int | None = None  # known once more was too many

    def fits(rows: int) -> bool:
        possible = most is None or rows <= most
        return possible and _expected(peaks, rows, held=held) <= budget_bytes

    for _ in range(MOST_TRIALS):
        rows = choose(fits) if peaks else 1
        if rows in peaks:
            break
        peak = _peak_of(run, rows, memory=memory)
        if peak is None and not peaks:
            return None
        if peak is None:
            most = max(rows // 2, _largest(peaks, budget_bytes))
        else:
            peaks[rows] = peak
            most = most if peak <= budget_bytes else rows - 1
    rows = _largest(peaks, budget_bytes)
    return Trial(rows, peaks[rows])


def _expected(peaks: dict[int, int], rows: int, *, held: int) -> float:
    """Return the peak that follows from those seen: a line through the first and the last one.

    >>> _expected({1: 10}, 3, held=4), _expected({1: 10, 5: 18}, 3, held=4)
    (22, 14.0)
    """
    last = max(peaks)
    if last == 1:
        return held + rows * (peaks[1] - held)
    return peaks[1] + (rows - 1) * (peaks[last] - peaks[1]) / (last - 1)


def _largest(peaks: dict[int, int], budget_bytes: int) -> int:
    return max((rows for rows, peak in peaks.items() if peak <= budget_bytes), default=1)


def _peak_of(run: Callable[[int], None], rows: int, *, memory: DeviceMemory) -> int | None:
    memory.forget()
    try:
        run(rows)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return None
    return memory.peak_bytes


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error of torch means that memory ran out (GPU, or the CPU's allocator)."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
