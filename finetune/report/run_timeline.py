"""The timeline of a run: stages, attempts at its training run, and jobs on a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from finetune.artefacts.timeline.attempts import read_attempts
from finetune.artefacts.timeline.times_line import seconds_by_part, shares
from finetune.cluster.chain.chain import Chain, chains_of, read_events
from finetune.errors import FinetuneError
from finetune.messages import sentence
from finetune.report.run_facts import Run, Stretch


def with_attempts(runs: Sequence[Run], store: Path) -> list[Run]:
    """Return the runs with the attempts of their jobs in place of the stages that these ran.

    A chain that cannot be read is skipped: its attempts are not in the report.
    """
    try:
        chains = chains_of(store)
    except FinetuneError:
        chains = []
    return [replace(run, stretches=_timeline(run, chains)) for run in runs]


def _timeline(run: Run, chains: Iterable[Chain]) -> tuple[Stretch, ...]:
    own = {name for name in (run.train, run.evaluate, run.release) if name}
    attempts = _of_training(run)
    covered = {one.what for one in attempts}
    own -= {run.train} if covered else set()
    for chain in chains:
        for job in chain.jobs:
            made = own.intersection(job.artefacts)
            if made and (found := _attempts(chain, job.name)):
                attempts += found
                covered |= {name.partition("/")[0] for name in made}
    stages = [one for one in run.stretches if one.what not in covered]
    return tuple(sorted([*stages, *attempts], key=lambda one: one.started))


def _of_training(run: Run) -> list[Stretch]:
    """Return the attempts that the training run recorded; none of before it did so."""
    found = []
    for attempt in read_attempts(run.train_folder) if run.train_folder else ():
        if attempt.time is None:
            continue
        began = _seconds(attempt.time)
        ended = None if attempt.elapsed is None else began + attempt.elapsed
        parts = seconds_by_part([attempt])
        steps = {"first": attempt.first_step, "last": attempt.last_step}
        note = (
            sentence("steps {first} to {last}; time: {shares}", shares=shares(parts), **steps)
            if parts
            else sentence("steps {first} to {last}", **steps)
        )
        found.append(Stretch("train", began, ended, attempt.outcome or "killed", note))
    return found


def _attempts(chain: Chain, job: str) -> list[Stretch]:
    """Return the attempts at a job that ended; one without an end is not known to have run."""
    found, started = [], None
    for event in read_events(chain, job):
        if event.event == "start":
            started = event.time
        elif started is not None:
            began, ended = map(_seconds, (started, event.time))
            found.append(Stretch(job, began, ended, event.outcome or "done"))
            started = None
    return found


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
