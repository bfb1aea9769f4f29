"""Notes below an estimate."""

from __future__ import annotations

import math
from collections.abc import Iterator

from finetune.estimate.cost import Cost
from finetune.estimate.length import Length
from finetune.estimate.target import Target
from finetune.sizing.gpus import find_gpu
from finetune.sizing.policy import GIB, SPLITS_WEIGHTS
from finetune.sizing.shape import ModelShape, base_parameters
from finetune.spec.sections.training import Precision, Sharding

RANK_GIB = 4
"""Main memory of a rank beside the weights: Python, torch, CUDA's host side. A guess."""


def attempts(target: Target, cost: Cost) -> Iterator[str]:
    """Yield a note if one job's time limit is too short for a training run."""
    limit = target.time_limit_seconds
    if limit is None or cost.hours is None:
        return
    least, most = (math.ceil(3600 * hours / limit) for hours in cost.hours)
    if most > 1:
        count = f"{most}" if least == most else f"{least} to {most}"
        yield (
            f"longer than the time limit of one job ({limit / 3600:.3g} h): it takes {count} "
            "attempts, each resuming from the checkpoint of the one before"
        )


def main_memory(shape: ModelShape, target: Target, *, precision: Precision) -> Iterator[str]:
    """Yield the main memory of a node to request, for a job on GPUs."""
    if target.device != "gpu":
        return
    weights = base_parameters(shape) * (4 if precision == "fp32" else 2) / GIB
    gib = math.ceil(target.devices_per_node * (weights + RANK_GIB))
    yield (
        f"main memory: at most about {gib} GiB per node while {target.devices_per_node} ranks load "
        f"the weights; where the site's default is less, write `#SBATCH --mem={gib}G` into "
        "train.sbatch"
    )


def notes(
    shape: ModelShape, target: Target, found: list[Length], *, sharding: Sharding
) -> Iterator[str]:
    """Yield what the numbers leave open."""
    if not shape.exact:
        yield (
            f"{shape.model_type} is not counted exactly: an unknown architecture is counted as a "
            "Llama of its sizes, and of a multimodal model only the text part is counted"
        )
    rows = min(each.rows_per_step for each in found)
    if rows < target.ranks:
        yield (
            f"a step has {rows} packed sequences, so {target.ranks - rows} of {target.ranks} ranks "
            "are idle: raise train.batch_tokens (it changes the training), or use fewer ranks"
        )
    if sharding in SPLITS_WEIGHTS:
        yield (
            "weights are gathered anew for every micro-batch; on a slow network that can cost more "
            "time than the arithmetic, which the hours do not count"
        )
    if target.device == "gpu" and find_gpu(target.gpu) is None:
        yield f"speed and power of the GPU {target.gpu or '(not named)'} are not known: name it"
