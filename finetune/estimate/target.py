"""The target of an estimate: a site, numbers from the command line, or this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass

from finetune.cluster.job.batch_script import time_limit_seconds
from finetune.errors import RecipeError
from finetune.messages import Place, problem, sentence
from finetune.sizing.gpus import memory_gib_of
from finetune.sizing.policy import GIB, Device
from finetune.spec.site import Site


@dataclass(frozen=True, slots=True)
class Target:
    """The target machine of a training run."""

    device: Device
    nodes: int
    devices_per_node: int
    """GPUs, or processes on CPUs."""
    memory_gib: float | None
    """Of one GPU, or of one CPU process; None if it is not known."""
    gpu: str | None = None
    cores: int = 1
    """Of one CPU process."""
    time_limit_seconds: int | None = None
    """Of one attempt of the training run."""

    @property
    def ranks(self) -> int:
        """Ranks of the training run."""
        return self.nodes * self.devices_per_node


def choose_target(
    site: Site | None = None,
    *,
    nodes: int | None = None,
    gpus_per_node: int | None = None,
    gpu_memory_gib: float | None = None,
    gpu: str | None = None,
) -> Target:
    """Return the target that a site and the command line describe; what is given wins.

    Without both it is one process on this machine's CPUs. The memory of a known GPU of one size
    need not be given. Raises RecipeError for numbers that cannot be, or if it is unknown.
    """
    given = {"--nodes": nodes, "--gpus-per-node": gpus_per_node, "--gpu-memory-gib": gpu_memory_gib}
    wrong = [
        problem("not-positive", "{value} must be greater than 0", at=Place(key=name), value=value)
        for name, value in given.items()
        if value is not None and value <= 0
    ]
    if wrong:
        raise RecipeError(*wrong)
    on_gpus = bool(gpus_per_node or gpu_memory_gib or gpu or (site and site.gpus_per_node))
    nodes = nodes or (site.train.nodes if site else 1)
    if not on_gpus:
        return _cpus(site, nodes=nodes)
    gpu = gpu or (site.gpu if site else None)
    memory = gpu_memory_gib or (site.gpu_memory_gib if site else None) or memory_gib_of(gpu)
    if memory is None:
        raise RecipeError(
            problem(
                "gpu-memory-unknown",
                "the memory of one GPU is unknown ({source}); give it in GiB",
                at=Place(key="--gpu-memory-gib"),
                source=sentence("site {name} does not state it", name=site.name)
                if site
                else sentence("no --site is given"),
            )
        )
    return Target(
        device="gpu",
        nodes=nodes,
        devices_per_node=gpus_per_node or (site.train.ranks_per_node if site else 1),
        memory_gib=memory,
        gpu=gpu,
        time_limit_seconds=None if site is None else time_limit_seconds(site.train.time_limit),
    )


def _cpus(site: Site | None, *, nodes: int) -> Target:
    if site is not None:
        train = site.train
        limit = time_limit_seconds(train.time_limit)
        return Target(
            "cpu",
            nodes,
            train.ranks_per_node,
            None,
            cores=train.cpus_per_rank,
            time_limit_seconds=limit,
        )
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Target("cpu", nodes, 1, pages / GIB, cores=cores or 1)
