"""How a process tells the batch script that started it how it ended: one small file a rank.

Exit codes alone do not do: `srun --kill-on-bad-exit` has to end all ranks as soon as one fails,
and then reports the highest code of all, whichever rank was the cause.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from finetune.errors import Stopped
from finetune.output.durable import replace_text

VARIABLE = "FINETUNE_OUTCOMES"
"""Names the folder; only batch scripts set it."""
MOST_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one rank ended."""

    rank: int
    exit_code: int
    reason: str
    """One line; empty when all went well."""
    expected: bool = True
    """False for an exception that is a bug or came from hardware, a library or another rank."""


def note(exit_code: int, reason: str = "", *, expected: bool = True) -> int:
    """Write the outcome if somebody wants to know; return the code to exit with.

    A clean stop is then no failure to `srun`, which would otherwise kill the ranks that are still
    writing: it is noted, and the process ends with 0.
    """
    folder = os.environ.get(VARIABLE)
    if folder is None:
        return exit_code
    rank = int(os.environ.get("RANK", "0"))
    outcome = Outcome(rank, exit_code, " ".join(reason.split())[:MOST_CHARACTERS], expected)
    path = Path(folder) / f"rank-{rank}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(asdict(outcome), ensure_ascii=False))
    return 0 if exit_code == Stopped.exit_code else exit_code


def read(folder: Path) -> list[Outcome]:
    """Return the outcomes in a folder, by rank. A rank that was killed has none."""
    found = []
    for path in folder.glob("rank-*.json"):
        values: Mapping[str, object] = json.loads(path.read_text("utf-8"))
        found.append(Outcome(**values))  # type: ignore[arg-type]  # we wrote it
    return sorted(found, key=lambda outcome: outcome.rank)
