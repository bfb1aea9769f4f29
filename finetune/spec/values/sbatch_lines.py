"""`#SBATCH` lines: the options that they set, the GPUs that they request, and how they merge."""

from __future__ import annotations

import re

OURS = frozenset(
    [
        "job-name",
        "output",
        "error",
        "open-mode",
        "nodes",
        "ntasks",
        "ntasks-per-node",
        "time",
        "cpus-per-task",
        "signal",
        "requeue",
        "no-requeue",
        "dependency",
        "array",
        "chdir",
        "wrap",
        "J",
        "o",
        "e",
        "N",
        "n",
        "t",
        "c",
        "d",
        "a",
        "D",
        "input",
        "i",
        "kill-on-invalid-dep",
        "test-only",
        "parsable",
        "wait",
        "W",
        "hold",
        "H",
        "begin",
        "b",
        "clusters",
        "M",
    ]
)
"""Options of sbatch that scripts set themselves, or that would break the chain."""
_OPTION = re.compile(r"^#SBATCH\s+(?:--([A-Za-z][A-Za-z0-9-]*)|-([A-Za-z]))")
GPU_COUNT = re.compile(r"^(#SBATCH\s+--(?:gres=gpu|gpus-per-node)[:=](?:[A-Za-z][\w.-]*:)?)(\d+)\b")
"""A line that requests GPUs per node: all before their number, and the number."""


def merge_lines(lines: list[str], more: list[str]) -> list[str]:
    """Return `lines` and `more`, where a line of `more` replaces those of the same option.

    >>> merge_lines(["#SBATCH --qos=a", "#SBATCH --mem=0"], ["#SBATCH --qos=b"])
    ['#SBATCH --mem=0', '#SBATCH --qos=b']
    """
    replaced = {option_of(line) for line in more}
    return [line for line in lines if option_of(line) not in replaced] + list(more)


def option_of(line: str) -> str | None:
    """Return the option that an `#SBATCH` line sets, long ones without dashes.

    >>> option_of("#SBATCH --gres=gpu:4"), option_of("#SBATCH -p batch"), option_of("# SBATCH")
    ('gres', 'partition', None)
    """
    found = _OPTION.match(line)
    if found is None:
        return None
    short = {"p": "partition", "A": "account", "q": "qos", "C": "constraint", "G": "gpus"}
    return found[1] or short.get(found[2], found[2])


def gpus_of(lines: list[str]) -> int | None:
    """Return the GPUs per node of `#SBATCH` lines, None if they have none.

    >>> gpus_of(["#SBATCH --gres=gpu:h100:4"]), gpus_of(["#SBATCH --gpus-per-node=8"]), gpus_of([])
    (4, 8, None)
    """
    found = [GPU_COUNT.match(line) for line in lines]
    return next((int(match[2]) for match in reversed(found) if match), None)
