"""Causes of the end of an attempt, and what follows from each.

| cause         | outcome | another attempt                                              |
|---------------|---------|--------------------------------------------------------------|
| `done`        | done    | -                                                            |
| `error`       | failed  | never: bad input, a loss that is not finite, out of memory   |
| `time limit`  | stopped | if a checkpoint was written; else never: the limit is short  |
| `stop`        | stopped | as long as checkpoints advance; else up to max_restarts      |
| `crash`       | crashed | if a checkpoint was written, up to max_restarts              |
| `environment` | crashed | up to max_restarts, on other nodes where some are suspected  |
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.cluster.chain.chain import Outcome
from finetune.cluster.slurm.commands import JobState
from finetune.errors import Stopped
from finetune.launch import outcome as outcomes

Cause = Literal["done", "error", "time limit", "stop", "crash", "environment"]
OUTCOMES: Mapping[Cause, Outcome] = {
    "done": "done",
    "error": "failed",
    "time limit": "stopped",
    "stop": "stopped",
    "crash": "crashed",
    "environment": "crashed",
}
EARLY_SECONDS = 75.0
"""Slurm may signal up to a minute before it was asked to, and does so every few seconds."""
MOST_AVOIDED = 4
_ASKED = frozenset(128 + s for s in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT))
"""Exit codes of a process that a signal ended before its handler was installed."""
_NODES = re.compile(r"([^,\[]+)(?:\[([^\[\]]+)\])?([^,\[]*)")


@dataclass(frozen=True, slots=True)
class Clock:
    """Times of an attempt, in seconds; None where unknown."""

    ran: float | None = None
    limit: float | None = None
    grace: float | None = None
    """Between the stop signal and the limit."""

    @property
    def is_used_up(self) -> bool:
        """Return whether a stop at this time is one by the time limit."""
        if self.ran is None or self.limit is None:
            return False
        return self.ran >= self.limit - (self.grace or 0.0) - EARLY_SECONDS


@dataclass(frozen=True, slots=True)
class Ending:
    """End of an attempt as the batch script saw it."""

    exit_code: int
    """Of srun."""
    signal: str
    """The last signal that the script received (USR1, TERM); empty if none."""
    ranks: Sequence[outcomes.Outcome]
    """Exit records of the ranks."""
    number_of_ranks: int
    state: JobState | None
    """State of the job in Slurm; None if Slurm did not answer."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Cause of an end, in one word and in one line."""

    cause: Cause
    reason: str
    nodes: tuple[str, ...] = ()
    """Nodes that are suspected."""

    @property
    def outcome(self) -> Outcome:
        """Return the outcome that is recorded."""
        return OUTCOMES[self.cause]


def judge(ending: Ending, *, made: bool, checked: bool, clock: Clock | None = None) -> Verdict:
    """Return why an attempt ended.

    `made`: whether the job's artefacts are in the store; `checked`: whether it has any.
    """
    failed = [rank for rank in ending.ranks if rank.exit_code not in (0, Stopped.exit_code)]
    stopped = [rank for rank in ending.ranks if rank.exit_code == Stopped.exit_code]
    if made or (not checked and ending.exit_code == 0 and not failed and not stopped):
        return Verdict("done", "done")
    if failed:
        return _failed(failed, ending)
    clock = clock or Clock()
    all_stopped = bool(stopped) and len(stopped) == ending.number_of_ranks
    never_ran = bool(ending.signal) and ending.exit_code in (0, Stopped.exit_code)
    timed_out = ending.state is not None and ending.state.reason == "TimeLimit"
    if all_stopped or never_ran or ending.exit_code in _ASKED or timed_out:
        return _stopped(ending, clock=clock)
    if ending.exit_code == 0:
        return Verdict(
            "error",
            "ended with exit code 0 but without its artefacts; do the jobs use another finetune?",
        )
    return Verdict("crash", _why_crashed(ending))


def is_preempted(state: JobState | None) -> bool:
    """Return whether Slurm says that a job is preempted."""
    return state is not None and state.fields.get("PreemptTime", "None") not in (
        "None",
        "Unknown",
        "",
    )


def nodes_of(text: str) -> list[str]:
    """Return the nodes of a list of Slurm.

    >>> nodes_of("gpu[01-03,7],login1,r[1-2]n1")
    ['gpu01', 'gpu02', 'gpu03', 'gpu7', 'login1', 'r1n1', 'r2n1']
    """
    found = []
    for match in _NODES.finditer(text):
        head, ranges, tail = match[1], match[2], match[3]
        for one in ranges.split(",") if ranges else [""]:
            first, dash, last = one.partition("-")
            if dash and first.isdigit() and last.isdigit():
                numbers = range(int(first), int(last) + 1)
                found += [f"{head}{n:0{len(first)}d}{tail}" for n in numbers]
            else:
                found.append(f"{head}{one}{tail}")
    return [name for name in found if name]


def to_avoid(state: JobState | None, suspected: Sequence[str]) -> str:
    """Return the nodes to exclude from the next attempt, as Slurm takes them; "" for none.

    `suspected`: of all attempts, oldest first; the newest few count. Nodes that the
    job excludes already stay excluded.
    """
    newest = list(dict.fromkeys(reversed(suspected)))[:MOST_AVOIDED]
    if not newest:
        return ""
    before = "" if state is None else state.fields.get("ExcNodeList", "")
    kept = [] if before in ("", "(null)") else nodes_of(before)
    return ",".join(dict.fromkeys([*kept, *sorted(newest)]))


def _failed(failed: Sequence[outcomes.Outcome], ending: Ending) -> Verdict:
    for rank in failed:
        if rank.expected:
            return Verdict("error", _whose(rank, ending))
    # ranks that lost contact leave a record; a killed rank leaves none and is the cause
    if ending.exit_code > 128 and len(ending.ranks) < ending.number_of_ranks:
        return Verdict("crash", _why_crashed(ending))
    for rank in failed:
        if not rank.of_environment:
            return Verdict("crash", _whose(rank, ending))
    return Verdict("environment", _whose(failed[0], ending), nodes=_silent_nodes(ending))


def _silent_nodes(ending: Ending) -> tuple[str, ...]:
    """Return the nodes of which no rank left a record, if others did."""
    spoke = {rank.host.partition(".")[0] for rank in ending.ranks if rank.host}
    if ending.state is None or not spoke:
        return ()
    silent = [n for n in nodes_of(ending.state.nodes or "") if n.partition(".")[0] not in spoke]
    missing = ending.number_of_ranks - len(ending.ranks)
    return tuple(silent) if missing and len(silent) <= missing else ()


def _stopped(ending: Ending, *, clock: Clock) -> Verdict:
    if ending.state is not None and ending.state.reason == "TimeLimit":
        return Verdict("time limit", "stopped at its time limit")
    if ending.signal == "USR1" and is_preempted(ending.state):
        return Verdict("stop", "stopped because it is preempted")
    if ending.signal == "USR1" and clock.is_used_up:
        return Verdict("time limit", "stopped before its time limit")
    return Verdict(
        "stop",
        {
            "USR1": "stopped before its time limit, or preempted",
            "TERM": "stopped by the scheduler",
        }.get(ending.signal, "stopped on request"),
    )


def _whose(rank: outcomes.Outcome, ending: Ending) -> str:
    where = f"rank {rank.rank}: "
    needed = ending.number_of_ranks > 1 and not rank.reason.startswith(where.rstrip(": "))
    return where + rank.reason if needed else rank.reason


def _why_crashed(ending: Ending) -> str:
    number = ending.exit_code - 128
    if number not in list(signal.Signals):
        return f"ended with exit code {ending.exit_code}; see its log"
    noted = {rank.rank for rank in ending.ranks}
    silent = [str(r) for r in range(ending.number_of_ranks) if r not in noted]
    killed = (
        f"rank {', '.join(silent[:8])}" if ending.number_of_ranks > 1 and silent else "the process"
    )
    # srun returns the highest exit code: the ranks that it ends itself hide a SIGKILL
    name = "" if ending.exit_code in _ASKED else f" by {signal.Signals(number).name}"
    return f"{killed} was killed{name}" + (
        " (out of memory, or by another process)"
        if number in (signal.SIGKILL, signal.SIGTERM)
        else ""
    )
