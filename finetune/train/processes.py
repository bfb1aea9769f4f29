"""The ranks of a training run: rendezvous, agreement, reductions.

Every method of `Processes` is collective: all ranks call it at the same place. With one process it
returns at once. They talk over gloo on the CPU, also where gradients go over NCCL, so that no
agreement waits for a GPU.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from finetune.errors import LostContactError, TrainError, first_line
from finetune.launch.devices import backend_of
from finetune.launch.pulse import Pulse
from finetune.launch.ranks import Ranks, ranks_of
from finetune.launch.rendezvous import file_of
from finetune.messages import Sentence, problem
from finetune.train.ranks.meeting import Meeting
from finetune.train.stop import StopFlag

TIMEOUT = timedelta(minutes=10)
"""In training, ranks are never further apart than a checkpoint and a micro-batch."""
SLOWEST_BYTES_PER_SECOND = 50e6
"""Of a shared file system from which all ranks read the base at once."""
_LOST = re.compile(
    r"connection (closed|reset|refused)|socket (closed|timeout)|broken pipe|timed out|NCCL|gloo"
    r"|wait timeout|application timeout",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Processes:
    """All ranks of a training run, seen from one of them."""

    ranks: Ranks
    device: torch.device
    pulse: Pulse = field(default_factory=Pulse, compare=False)
    """Position of this rank in the training loop, for those who wait for it."""

    @property
    def count(self) -> int:
        """Number of ranks."""
        return self.ranks.world

    @property
    def is_main(self) -> bool:
        """Return whether this rank writes and prints."""
        return self.ranks.is_main

    def any(self, flag: bool) -> bool:
        """Return whether `flag` is set on any rank."""
        return self._reduced(int(flag), dist.ReduceOp.MAX) > 0

    def least(self, number: int) -> int:
        """Return the smallest of the ranks' numbers."""
        return self._reduced(number, dist.ReduceOp.MIN)

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over ranks of a tensor on the CPU, in place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def text(self, text: str | None) -> str | None:
        """Return rank 0's text; what the others pass is ignored."""
        if self.count == 1:
            return text
        data = b"" if text is None else b"=" + text.encode("utf-8")
        size = torch.tensor([len(data)])
        dist.broadcast(size, src=0)
        buffer = torch.zeros(int(size), dtype=torch.uint8)
        if self.is_main and data:
            buffer.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        dist.broadcast(buffer, src=0)
        received = bytes(buffer.tolist())
        return received[1:].decode("utf-8") if received else None

    def same(self, what: str, value: object) -> None:
        """Raise TrainError on every rank unless all ranks have the same value."""
        if self.count == 1:
            return
        digest = hashlib.sha256(repr(value).encode()).digest()
        number = int.from_bytes(digest[:7], "big")
        lowest = self.least(number)
        if self.any(number != lowest):
            raise TrainError(
                problem(
                    "ranks-disagree",
                    "{what} differs between the {ranks} ranks (here: {value}); start all of them "
                    "with the same files, versions and kind of device",
                    what=what,
                    ranks=self.count,
                    value=repr(value),
                )
            )

    def _reduced(self, number: int, how: dist.ReduceOp.RedOpType) -> int:
        if self.count == 1:
            return number
        held = torch.tensor([number], dtype=torch.int64)
        dist.all_reduce(held, op=how)
        return int(held)


def timeout_of(asked_minutes: float | None, *, base_bytes: int) -> timedelta:
    """Return how long ranks wait for each other, loading of the base included.

    >>> str(timeout_of(None, base_bytes=16 * 10**9)), str(timeout_of(None, base_bytes=141 * 10**9))
    ('0:10:00', '0:47:00')
    """
    if asked_minutes is not None:
        return timedelta(minutes=asked_minutes)
    return max(TIMEOUT, timedelta(seconds=base_bytes / SLOWEST_BYTES_PER_SECOND))


def join(
    device: torch.device,
    *,
    stop: StopFlag,
    folder: Path,
    say: Callable[[Sentence], None],
    timeout: timedelta = TIMEOUT,
) -> Processes:
    """Meet the other ranks (once per process; the group lasts until its end) and return them.

    `folder`: that of the training, which all ranks know. `say` gets a line while ranks are missing.
    `timeout`: of the rendezvous and of every collective, which must outlast a slow rank's loading.
    Raises Stopped when that was asked for meanwhile, RendezvousError when the others do not come,
    TrainError when they are not as many as were launched.
    """
    ranks = ranks_of()
    if ranks.launched and not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        meeting = Meeting(ranks, file_of(folder), say=say)
        store = meeting.wait(stop=stop, timeout=timeout)
        try:
            dist.init_process_group(
                backend_of(device.type),
                store=store,
                rank=ranks.rank,
                world_size=ranks.world,
                timeout=timeout,
                device_id=device if device.type == "cuda" else None,
            )
        except (RuntimeError, ValueError) as error:
            raise meeting.failed(first_line(error)) from error
        atexit.register(_leave)
    found = dist.get_world_size() if dist.is_initialized() else 1
    if found != ranks.world:
        raise TrainError(
            problem(
                "ranks-missing",
                "{ranks} ranks were launched, but {found} are in the process group",
                ranks=ranks.world,
                found=found,
            )
        )
    return Processes(ranks=ranks, device=device)


def meet_alone(device: torch.device) -> None:
    """Make a group of this one process, for libraries that need one (DeepSpeed)."""
    if dist.is_initialized():
        return
    store = dist.HashStore()
    dist.init_process_group(
        backend_of(device.type),
        store=store,
        rank=0,
        world_size=1,
        device_id=device if device.type == "cuda" else None,
    )
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0")):
        os.environ.setdefault(name, value)
    atexit.register(_leave)


@contextmanager
def loss_of_contact_explained(processes: Processes) -> Iterator[None]:
    """Turn a collective that failed because another rank is gone into a LostContactError."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, TrainError) or processes.count == 1 or not _LOST.search(str(error)):
            raise
        raise LostContactError(
            problem(
                "lost-contact",
                "rank {rank:d} lost contact with another rank ({why}). The first error in the log "
                "is the cause; the last checkpoint is intact: rerun the same command to resume",
                rank=processes.ranks.rank,
                why=first_line(error),
            )
        ) from error


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
