"""This process's rank in a launch, from the variables of torchrun or of srun.

`torchrun` and `accelerate launch` set RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR
and MASTER_PORT. `srun` sets variables of its own, which `take_step` turns into these; its ranks
meet through a file (`finetune.launch.rendezvous`). Without either there is one process. Rank 0 does
the work that is no training; the others wait for its artefacts, without a collective that could
time out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from finetune.errors import TrainError
from finetune.messages import problem
from finetune.output.digits import whole_number

LAUNCH = "FINETUNE_LAUNCH"
"""Environment variable: the name of a launch by srun, which `take_step` sets."""
_MPI_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
_TASKS = re.compile(r"(\d+)(?:\(x(\d+)\))?")


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


def take_step(environment: MutableMapping[str, str] | None = None) -> None:
    """Set torchrun's variables of this process if it is one of several tasks of a Slurm step.

    Variables of a launcher win. A batch script without srun, or a step of one task, is one process.

    Raises TrainError for several processes of mpirun, which say neither name nor address of a
    launch.

    >>> step = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "3",
    ...         "SLURM_STEP_TASKS_PER_NODE": "2,1", "SLURM_PROCID": "2", "SLURM_LOCALID": "0",
    ...         "SLURM_NODEID": "1"}
    >>> take_step(step)
    >>> step["RANK"], step["WORLD_SIZE"], step["LOCAL_WORLD_SIZE"], step["FINETUNE_LAUNCH"]
    ('2', '3', '1', 'slurm-7-0-0')
    """
    found = os.environ if environment is None else environment
    if "RANK" in found:
        return
    tasks = _number(found, "SLURM_STEP_NUM_TASKS", 1) if "SLURM_STEP_ID" in found else 1
    if tasks <= 1 or _is_batch_script(found):
        _refuse_mpi(found)
        return
    node = _number(found, "SLURM_NODEID", 0)
    on_nodes = _tasks_on_nodes(found.get("SLURM_STEP_TASKS_PER_NODE", ""))
    here = on_nodes[node] if node < len(on_nodes) else tasks
    names = ("SLURM_JOB_ID", "SLURM_RESTART_COUNT", "SLURM_STEP_ID")
    found[LAUNCH] = "-".join(["slurm", *(found.get(name, "0") for name in names)])
    found["RANK"] = found.get("SLURM_PROCID", "")
    found["WORLD_SIZE"] = str(tasks)
    found["LOCAL_RANK"] = found.get("SLURM_LOCALID", "")
    found["LOCAL_WORLD_SIZE"] = str(here)


def _is_batch_script(found: Mapping[str, str]) -> bool:
    """Return whether this is a batch script, as the process says that started the task.

    One that was submitted from inside a step has the variables of that step.
    """
    try:
        stat = Path(f"/proc/{int(found['SLURM_TASK_PID'])}/stat").read_text("utf-8", "replace")
        parent = int(stat.rpartition(")")[2].split()[1])
        title = Path(f"/proc/{parent}/cmdline").read_bytes()
    except (KeyError, OSError, ValueError, IndexError):  # another namespace of processes
        return False
    return b"slurmstepd" in title and b".batch]" in title


def _tasks_on_nodes(text: str) -> list[int]:
    """Return the tasks of each node of a step.

    >>> _tasks_on_nodes("4(x2),1")
    [4, 4, 1]
    """
    return [int(m[1]) for m in _TASKS.finditer(text) for _ in range(int(m[2] or 1))]


def _refuse_mpi(found: Mapping[str, str]) -> None:
    for name in _MPI_SIZES:
        if "WORLD_SIZE" not in found and _number(found, name, 1) > 1:
            raise TrainError(
                problem(
                    "ranks-of-mpirun",
                    "mpirun started {ranks} processes ({name}), but RANK is not set: each of them "
                    "would be a run of its own. Start them with torchrun or srun "
                    "(docs/train/several-gpus.md), or start one process",
                    ranks=found[name],
                    name=name,
                )
            )


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
    if world > 1 and missing and LAUNCH not in found:
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
    if LAUNCH in found:  # not MASTER_ADDR, which libraries set later
        return found[LAUNCH]
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
