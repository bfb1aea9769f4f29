"""Numbers between host and device: micro-batches there ahead of time, losses back unhurried.

A GPU works on what was launched while the host goes on. It runs dry if the host waits for a number
before it has launched more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")


def one_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Give each item after the next one has been made.

    >>> list(one_ahead([1, 2, 3]))
    [1, 2, 3]
    """
    made: list[Item] = []
    for item in items:
        made.append(item)
        if len(made) > 1:
            yield made.pop(0)
    yield from made


def on_host(tensor: Tensor) -> Callable[[], Tensor]:
    """Begin to copy a tensor to the host; the function returned waits for that copy alone."""
    if tensor.device.type == "cpu":
        return lambda: tensor
    held = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    held.copy_(tensor, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record()

    def arrived() -> Tensor:
        copied.synchronize()
        return held

    return arrived
