"""GPUs that the `#SBATCH` lines of a training job request, in any of Slurm's spellings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from finetune.messages import Sentence, sentence
from finetune.spec.values.sbatch_lines import option_of

_VALUE = re.compile(r"^#SBATCH\s+(?:--[A-Za-z][A-Za-z0-9-]*|-[A-Za-z])[=\s]*(.*?)\s*(?:#.*)?$")


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """GPUs per node, as the lines request them."""

    per_node: float | None = None
    """None: no line requests any."""
    line: str = ""
    """The line that decides."""
    shares: bool = False
    """True if it requests shares of a GPU (`shard`)."""


def gpu_request(lines: Sequence[str], *, nodes: int, ranks_per_node: int) -> GpuRequest:
    """Return the GPUs per node that lines request; the last line of an option counts.

    >>> gpu_request(["#SBATCH --gres=shard:1,gpu:h100:2"], nodes=1, ranks_per_node=1).per_node
    2.0
    >>> gpu_request(["#SBATCH -G 8"], nodes=2, ranks_per_node=1).per_node
    4.0
    """
    found, shares = GpuRequest(), False
    for line in lines:
        option, value = option_of(line), _value_of(line)
        if option == "gres":
            counts = [_count(part, "gpu") for part in value.split(",")]
            shares = shares or any(_count(part, "shard") is not None for part in value.split(","))
            known = [count for count in counts if count is not None]
            per_node: float | None = sum(known) if known else None
        elif option in ("gpus-per-node", "gpus", "gpus-per-task"):
            number = sum(_count(f"gpu:{part}", "gpu") or 0 for part in value.split(","))
            per_node = {
                "gpus-per-node": number,
                "gpus": number / nodes,
                "gpus-per-task": number * ranks_per_node,
            }[option]
        else:
            continue
        if per_node is not None:
            found = GpuRequest(float(per_node), line)
    return GpuRequest(found.per_node, found.line, shares)


def gpu_warnings(
    lines: Sequence[str], *, nodes: int, ranks_per_node: int, gpus_per_node: int
) -> list[Sentence]:
    """Return what is odd in the GPUs of a training job: idle ones, too few, shares."""
    asked = gpu_request(lines, nodes=nodes, ranks_per_node=ranks_per_node)
    warnings = []
    if asked.per_node is not None and asked.per_node > ranks_per_node:
        warnings.append(
            sentence(
                "train.ranks_per_node is {ranks}, but {line!r} requests {gpus:g} GPUs per node: "
                "{idle:g} would be idle; set ranks_per_node to {gpus:g}, or request fewer",
                ranks=ranks_per_node,
                line=asked.line,
                gpus=asked.per_node,
                idle=asked.per_node - ranks_per_node,
            )
        )
    if asked.per_node is not None and asked.per_node < ranks_per_node and gpus_per_node:
        warnings.append(
            sentence(
                "train.ranks_per_node is {ranks}, but {line!r} requests {gpus:g} GPUs per node; "
                "each rank needs one",
                ranks=ranks_per_node,
                line=asked.line,
                gpus=asked.per_node,
            )
        )
    if asked.per_node is not None and asked.per_node != gpus_per_node:
        warnings.append(
            sentence(
                "gpus_per_node is {declared}, but {line!r} requests {gpus:g}; jobs expect, and "
                "`estimate` counts, gpus_per_node",
                declared=gpus_per_node,
                line=asked.line,
                gpus=asked.per_node,
            )
        )
    if asked.shares:
        warnings.append(
            sentence(
                "`--gres=shard` requests a share of a GPU, and other jobs use its memory too; set "
                "run.memory_gib in the recipe to your share"
            )
        )
    return warnings


def _value_of(line: str) -> str:
    found = _VALUE.match(line)
    return found[1] if found else ""


def _count(part: str, kind: str) -> int | None:
    """Return the number in `gpu`, `gpu:4` or `gpu:h100:4(S:0)`; None for another kind."""
    name, *rest = part.strip().partition("(")[0].split(":")
    if name != kind:
        return None
    return int(rest[-1]) if rest and rest[-1].isdigit() else 1
