"""Attempts of training runs that one Slurm job runs side by side on a node, a GPU each.

Each has its own records, log, checkpoint and verdict. The job is requeued if any of them is tried
again, and then runs only those; it fails if one of them has failed for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from finetune.cluster.chain.chain import AttemptEvent, Chain, read_events
from finetune.cluster.job.attempt import (
    Answer,
    begin,
    finish,
    is_made,
    nodes_to_avoid,
    remove_notes,
)
from finetune.cluster.job.verdict import Ending
from finetune.launch import outcome

_ORDER: tuple[Answer, ...] = ("leave", "again", "fail", "done")
"""The answer of a pack is the first of these that one of its training runs has."""


def begin_pack(
    chain: Chain, names: Sequence[str], *, job_id: str, restart: int
) -> tuple[str, list[str]]:
    """Record the start of the training runs to run; return the answer, and a line per other one.

    The answer is `go CHAIN/NAME#NUMBER ...`, `done`, or `fail` if one has failed and none is left.
    """
    to_run, lines, failed = [], [], False
    for name in names:
        last = _last(chain, name, job_id=job_id)
        if last is not None and last.final and not _is_lost(chain, name, last):
            answer, reason = ("done" if last.outcome == "done" else "fail"), last.reason or ""
        else:
            answer, _, reason = begin(chain, name, job_id=job_id, restart=restart).partition(" ")
        if answer == "go":
            to_run.append(reason)
            continue
        failed = failed or answer == "fail"
        lines.append(f"{name}: {reason or 'already done'}")
    if to_run:
        return " ".join(["go", *to_run]), lines
    return ("fail" if failed else "done"), lines


def finish_pack(
    chain: Chain, names: Sequence[str], ending: Ending, *, job_id: str, restart: int
) -> tuple[str, list[str]]:
    """Record the end of the runs that ran; return the job's answer, and a line per run.

    `ending`: of the step of all of them. A training run without an exit record was killed: its exit
    code is that of the step, the highest of all.
    """
    answers: list[Answer] = []
    lines: list[str] = []
    avoid: list[str] = []
    for name in names:
        last = _last(chain, name, job_id=job_id)
        if last is None or last.event != "start":
            made = is_made(chain, chain.job(name))
            answers.append("done" if made else "fail")
            continue
        folder = chain.outcomes_of(name, job_id=job_id, restart=restart)
        ranks = outcome.read(folder)
        code = ranks[0].exit_code if ranks else ending.exit_code
        own = replace(ending, ranks=ranks, exit_code=code, number_of_ranks=1)
        answer, reason = finish(chain, name, own, job_id=job_id, restart=restart)
        remove_notes(folder)
        if answer == "again":
            avoid += nodes_to_avoid(chain, name, own, job_id=job_id).split(",")
        answers.append(answer)
        lines.append(f"{name}: {reason}")
    answer = next(one for one in _ORDER if one in answers)
    nodes = ",".join(dict.fromkeys(node for node in avoid if node))
    return (f"{answer} {nodes}" if answer == "again" and nodes else answer), lines


def _last(chain: Chain, name: str, *, job_id: str) -> AttemptEvent | None:
    """Return the newest event of a training run in a Slurm job."""
    own = [event for event in read_events(chain, name) if event.job_id == job_id]
    return own[-1] if own else None


def _is_lost(chain: Chain, name: str, last: AttemptEvent) -> bool:
    """Return whether the artefacts of a finished training are no longer in the store."""
    return last.outcome == "done" and not is_made(chain, chain.job(name))
