"""Nodes, CPUs and GPUs that Slurm gave to a job: from its variables, `scontrol` and `sacct`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from finetune.cluster.slurm.commands import JobState

_REPEATED = re.compile(r"(\d+)(?:\(x(\d+)\))?")


def allocated_here(environment: Mapping[str, str]) -> dict[str, int] | None:
    """Return the allocation of the job around this process; None outside of Slurm.

    >>> allocated_here({"SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_CPUS_PER_NODE": "8(x2)",
    ...                 "SLURM_GPUS_ON_NODE": "4"})
    {'nodes': 2, 'cpus': 16, 'gpus': 8}
    """
    nodes = environment.get("SLURM_JOB_NUM_NODES", "")
    if not nodes.isdigit():
        return None
    found = {"nodes": int(nodes)}
    per_node = _REPEATED.findall(environment.get("SLURM_JOB_CPUS_PER_NODE", ""))
    if per_node:
        found["cpus"] = sum(int(cpus) * int(times or 1) for cpus, times in per_node)
    gpus = environment.get("SLURM_GPUS_ON_NODE", "")
    if gpus.isdigit():
        found["gpus"] = int(gpus) * int(nodes)
    return found


def allocated_of(tres: str) -> dict[str, int] | None:
    """Return the allocation in a list of trackable resources; None if it has none.

    A list without GPUs is of a job without GPUs, where the cluster counts them.

    >>> allocated_of("billing=4,cpu=16,gres/gpu:a100=8,gres/gpu=8,mem=64G,node=2")
    {'nodes': 2, 'cpus': 16, 'gpus': 8}
    >>> allocated_of("cpu=4,mem=8G,node=1"), allocated_of("")
    ({'nodes': 1, 'cpus': 4, 'gpus': 0}, None)
    """
    said = dict(part.partition("=")[::2] for part in tres.split(",") if "=" in part)
    found = {
        name: int(said[key])
        for name, key in (("nodes", "node"), ("cpus", "cpu"))
        if said.get(key, "").isdigit()
    }
    if not found:
        return None
    typed = [said[key] for key in said if key.startswith("gres/gpu:")]
    gpus = [said["gres/gpu"]] if "gres/gpu" in said else typed
    return found | {"gpus": sum(int(number) for number in gpus if number.isdigit())}


def tres_of(state: JobState) -> str:
    """Return the trackable resources that a job has, as `scontrol` shows them."""
    return state.fields.get("AllocTRES") or state.fields.get("TRES") or ""
