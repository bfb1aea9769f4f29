"""This process's rank in a launch, from the variables of torchrun.

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
from finetune.messages import problem
from finetune.output.digits import whole_number


@dataclass(frozen=True, slots=True)
class Ranks:
    """The rank of this process and the size of its launch."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    """Rank on this node, which selects the GPU."""
    local_world: int = 1
    """Ranks on this node, which share its memory and CPUs."""
    launched: bool = False
    """True if a launcher set the variables, even for a single rank."""

    @property
    def is_main(self) -> bool:
        """Return whether this process prepares, writes and prints."""
        return self.rank == 0


def ranks_of(environment: Mapping[str, str] | None = None) -> Ranks:
    """Return the ranks of the environment. TrainError for variables that contradict each other.

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
                problem(
                    "rank-not-set",
                    "WORLD_SIZE is {world}, but RANK is not set: start the ranks with torchrun, "
                    "accelerate launch or srun (docs/cluster/slurm.md), or unset WORLD_SIZE",
                    world=found["WORLD_SIZE"],
                )
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
        raise TrainError(
            problem(
                "no-rendezvous-address",
                "RANK is set, but {name} is not: the ranks have no address for their rendezvous",
                name=missing[0],
            )
        )
    if not (0 <= ranks.rank < world and 0 <= ranks.local_rank < ranks.local_world <= world):
        raise TrainError(
            problem(
                "ranks-contradict",
                "RANK {rank:d} of WORLD_SIZE {world:d} and LOCAL_RANK {local_rank:d} of "
                "LOCAL_WORLD_SIZE {local_world:d} contradict each other; restart the launch",
                rank=ranks.rank,
                world=world,
                local_rank=ranks.local_rank,
                local_world=ranks.local_world,
            )
        )
    return ranks


def launch_id(environment: Mapping[str, str] | None = None) -> str | None:
    """Return a name that all ranks of one launch share and no other launch has, if any."""
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
    number = whole_number(text)
    if number is None:
        raise TrainError(
            problem(
                "rank-no-number", "{name} is {value!r}, not a number", name=name, value=text[:40]
            )
        )
    return number
