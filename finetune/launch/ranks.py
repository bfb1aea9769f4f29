"""Which of the processes of one launch this is, read from torchrun's variables alone.

`torchrun`, `accelerate launch` and our batch scripts set RANK, WORLD_SIZE, LOCAL_RANK,
LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT; without them there is one process. Rank 0 does the
work that is no training; the others wait for its artefacts, without a collective that could time
out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from finetune.errors import TrainError


@dataclass(frozen=True, slots=True)
class Ranks:
    """The place of this process among those of its launch."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    """Its number on this node: which GPU is its own."""
    local_world: int = 1
    """Processes on this node: they share its memory and its CPUs."""
    launched: bool = False
    """Whether a launcher set the variables, be it for one process."""

    @property
    def is_main(self) -> bool:
        """Whether this process prepares, writes and prints."""
        return self.rank == 0


def ranks_of(environment: Mapping[str, str] | None = None) -> Ranks:
    """Return what the environment says. TrainError for variables that contradict each other.

    >>> ranks_of({})
    Ranks(rank=0, world=1, local_rank=0, local_world=1, launched=False)
    >>> ranks_of({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    ...           "MASTER_ADDR": "node1", "MASTER_PORT": "20000"}).local_rank
    1
    """
    found = os.environ if environment is None else environment
    if "RANK" not in found:
        if _number(found, "WORLD_SIZE", 1) > 1:
            raise TrainError(
                f"WORLD_SIZE is {found['WORLD_SIZE']}, but RANK is not set: start the processes "
                "with torchrun, accelerate launch or srun (docs/cluster.md), or unset WORLD_SIZE"
            )
        return Ranks()
    world = _number(found, "WORLD_SIZE", 1)
    ranks = Ranks(
        rank=_number(found, "RANK", 0),
        world=world,
        local_rank=_number(found, "LOCAL_RANK", 0),
        local_world=_number(found, "LOCAL_WORLD_SIZE", 1),
        launched=True,
    )
    missing = [n for n in ("MASTER_ADDR", "MASTER_PORT") if n not in found]
    if world > 1 and missing:
        raise TrainError(f"RANK is set and {missing[0]} is not: the processes cannot meet")
    if not (0 <= ranks.rank < world and 0 <= ranks.local_rank < ranks.local_world <= world):
        raise TrainError(
            f"RANK {ranks.rank} of WORLD_SIZE {world}, LOCAL_RANK {ranks.local_rank} of "
            f"LOCAL_WORLD_SIZE {ranks.local_world}: these cannot be; start the processes anew"
        )
    return ranks


def launch_id(environment: Mapping[str, str] | None = None) -> str | None:
    """Return a name that all processes of one launch share and no other launch has, if any."""
    found = os.environ if environment is None else environment
    names = (
        *("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"),
        *("SLURM_JOB_ID", "SLURM_RESTART_COUNT", "SLURM_STEP_ID"),
    )
    if "RANK" not in found:
        return None
    return "/".join(found.get(name, "") for name in names)


def _number(found: Mapping[str, str], name: str, default: int) -> int:
    text = found.get(name, str(default))
    if not text.isdigit():
        raise TrainError(f"{name} is {text!r}, which is no number")
    return int(text)
