"""Exit records: one small file per rank, read by the batch script.

Exit codes alone do not do: `srun --kill-on-bad-exit` has to end all ranks as soon as one fails,
and then reports the highest code of all, whichever rank was the cause.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from finetune.errors import Stopped
from finetune.launch.machine_memory import peak_bytes
from finetune.output.durable import replace_text
from finetune.output.secrets import hide
from finetune.output.terminal import aside

VARIABLE = "FINETUNE_OUTCOMES"
"""Names the folder; only batch scripts set it."""
MOST_CHARACTERS = 400
MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one rank."""

    rank: int
    exit_code: int
    reason: str
    """One line; empty when all went well."""
    expected: bool = True
    """False for an exception that is a bug or came from hardware, a library or another rank."""
    of_environment: bool = False
    """True for a fault of network, node or port, after which another attempt makes sense."""
    host: str = ""
    peak_bytes: int | None = None
    """Largest resident set."""
    cpu_seconds: float | None = None
    """Of all its threads, and of the processes that it waited for."""


def note(
    exit_code: int,
    reason: str = "",
    *,
    expected: bool = True,
    of_environment: bool = False,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Write the exit record if requested; return the exit code.

    Secrets in the reason are not written. A failed write is reported.

    A clean stop is then no failure to `srun`, which would otherwise kill the ranks that are still
    writing: it is noted, and the process ends with 0.
    """
    variables = os.environ if environment is None else environment
    folder = variables.get(VARIABLE, "")
    if not folder:
        return exit_code
    number = variables.get("RANK", "0")
    rank = int(number) if number.isascii() and number.isdigit() and len(number) < 9 else 0
    said = " ".join(hide(reason).split())[:MOST_CHARACTERS]
    outcome = Outcome(
        rank=rank,
        exit_code=exit_code,
        reason=said,
        expected=expected,
        of_environment=of_environment,
        host=platform.node(),
        peak_bytes=peak_bytes(),
        cpu_seconds=_cpu_seconds(),
    )
    path = Path(folder) / f"rank-{rank}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(asdict(outcome)))
    except (OSError, ValueError) as error:  # what was made is made; only the note is missing
        why = error.strerror if isinstance(error, OSError) else error
        aside(
            f"finetune: {VARIABLE}={folder!r}: how this process ended cannot be noted there "
            f"({why}); its exit code, {exit_code}, is right"
        )
        return exit_code
    return 0 if exit_code == Stopped.exit_code else exit_code


def _cpu_seconds() -> float:
    times = os.times()
    return round(times.user + times.system + times.children_user + times.children_system, 2)


def read(folder: Path) -> list[Outcome]:
    """Return the outcomes in a folder, by rank. A rank that was killed has none.

    Neither has one whose note is damaged: what it did not say is judged by its exit code.
    """
    from finetune.output.small_files import UnreadableError, read_json  # pydantic is slow to start

    found = []
    for path in folder.glob("rank-*.json"):
        with suppress(OSError, UnreadableError):
            found.append(read_json(path, Outcome, max_bytes=MOST_BYTES))
    return sorted(found, key=lambda outcome: outcome.rank)
