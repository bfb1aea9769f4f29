"""The files of a chain: what was submitted, under which job ids, and how every attempt went.

    <store>/chains/<id>/
        chain.json             what the chain is; written once, before anything is queued
        project/               the resolved recipe, its data cards and its lock, as submitted
        scripts/NAME.sh        the batch script of a job
        logs/NAME-<job id>.log
        submitted.jsonl        one line a submission
        attempts/NAME.jsonl    one line at the start and one at the end of every attempt
        cancelled.jsonl        one line a `finetune cancel`

Everything is read from these files, so that a chain can be followed from another terminal, after a
purge of the scheduler's memory, and where there is no accounting.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from finetune.errors import RecipeError, StoreError
from finetune.output.durable import replace_text

SCHEMA = 1
CHAIN, SUBMITTED, CANCELLED = "chain.json", "submitted.jsonl", "cancelled.jsonl"
Outcome = Literal["done", "stopped", "failed", "crashed"]


@dataclass(frozen=True, slots=True)
class ChainJob:
    """One Slurm job of a chain, or one task of a job array."""

    name: str
    """Unique in the chain: `prepare`, `train` (`train-PHASE`), `evaluate`, `release`; a task of an
    array is called `train.3`."""
    stages: tuple[str, ...]
    """Labels of the plan's steps that the job makes, as `finetune plan` shows them."""
    script: str
    """Batch script, relative to the chain's folder."""
    log: str
    """Log file relative to the chain's folder; %j stands for the job id."""
    depends_on: tuple[str, ...] = ()
    """Names of the jobs that have to be done before."""
    total_steps: int | None = None
    """Optimizer steps of a training with `max_steps`."""
    artefacts: tuple[str, ...] = ()
    """`stage/key` of each of `stages`, so that nobody has to compute keys to follow a chain."""
    inputs: tuple[str, ...] = ()
    """`stage/key` of what has to be in the store before; a job that finds one missing fails."""
    array: str | None = None
    """Name of the job array that this is a task of (`train`); its tasks share script and id."""
    task: int | None = None
    """Index in the array (SLURM_ARRAY_TASK_ID); the job id of a task is `ARRAY ID_INDEX`."""
    recipe: str | None = None
    """Resolved recipe of this task, relative to the chain's folder; None: the chain's."""
    settings: tuple[str, ...] = ()
    """What this task changes in the recipe, `key=value`."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What was submitted. `folder` is where it lies; it is not in the file."""

    folder: Path
    id: str
    recipe: str
    """The resolved recipe, relative to `folder`."""
    site: str
    created: str
    """UTC, ISO 8601."""
    store: str
    jobs: tuple[ChainJob, ...]
    max_restarts: int
    requeue: Literal["allowed", "forbidden"] = "allowed"
    """Whether a stopped job goes back into the queue, or a new job continues it."""
    array_limit: int | None = None
    """Tasks of each job array that may run at the same time."""
    purge_days: int | None = None
    """The site deletes files of the store that nobody read for so many days."""

    @property
    def recipe_path(self) -> Path:
        """The resolved recipe."""
        return self.folder / self.recipe

    def job(self, name: str) -> ChainJob:
        """Return a job by name; RecipeError if the chain has none of that name."""
        for job in self.jobs:
            if job.name == name:
                return job
        known = ", ".join(job.name for job in self.jobs)
        raise RecipeError(f"chain {self.id} has no job {name!r}; it has: {known}")

    def recipe_of(self, name: str) -> Path:
        """Return the resolved recipe of a job."""
        return self.folder / (self.job(name).recipe or self.recipe)

    def log_path(self, name: str, job_id: str) -> Path:
        """Return the log of a submission of a job."""
        return self.folder / self.job(name).log.replace("%j", job_id)


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that was given to the scheduler."""

    name: str
    job_id: str
    time: str
    continues: str | None = None
    """Id of the job that this one goes on from, where a job may not go back into the queue."""


@dataclass(frozen=True, slots=True)
class AttemptEvent:
    """The start or the end of an attempt at a job."""

    event: Literal["start", "end"]
    time: str
    job_id: str
    restart: int
    """How often Slurm had started the job before (SLURM_RESTART_COUNT)."""
    checkpoint_step: int | None = None
    """Optimizer step of the newest checkpoint; None for a job that trains nothing."""
    outcome: Outcome | None = None
    """At the end."""
    exit_code: int | None = None
    """At the end, if it is known."""
    reason: str | None = None
    """At the end: one line."""
    log_bytes: int | None = None
    """At the start: size of the job's log, so that the log of one attempt can be shown alone."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A `finetune cancel`: these jobs must not go on, whatever they were doing then."""

    time: str
    job_ids: tuple[str, ...]


def now() -> str:
    """Return the time as the chain's files write it (UTC, ISO 8601)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_chain_id(recipe_name: str) -> str:
    """Return `<recipe name>-<yyyymmdd>-<hhmmss>-<4 hex digits>`, safe in paths and job names."""
    slug = re.sub(r"[^a-z0-9._-]+", "-", recipe_name.lower()).strip("-.") or "recipe"
    return f"{slug}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def chains_folder(store: Path) -> Path:
    """Return the folder of all chains of a store."""
    return store / "chains"


def write_chain(chain: Chain) -> None:
    """Write `chain.json`; a reader sees all of it or nothing."""
    values = asdict(chain)
    del values["folder"]
    chain.folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"schema": SCHEMA, **values}, ensure_ascii=False, indent=1)
    replace_text(chain.folder / CHAIN, text + "\n")


def read_chain(folder: Path) -> Chain:
    """Read a chain's folder.

    Raises StoreError if `chain.json` is missing, damaged or of another version.
    """
    path = folder / CHAIN
    try:
        values = json.loads(path.read_text("utf-8"))
        if values.pop("schema") != SCHEMA:
            raise StoreError(f"{path}: written by another version of finetune; use that one")
        jobs = tuple(_job(job) for job in values.pop("jobs"))
        return Chain(folder=folder, jobs=jobs, **values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: not a chain that can be read ({error!r})") from None


def chains_of(store: Path) -> list[Chain]:
    """Return the chains of a store, oldest first."""
    paths = chains_folder(store).glob(f"*/{CHAIN}")
    return sorted((read_chain(p.parent) for p in paths), key=lambda c: (c.created, c.id))


def find_chain(store: Path, wanted: str | None = None) -> Chain:
    """Return a chain by folder, id or the beginning of an id; the newest if nothing is named.

    Raises RecipeError when none or several fit.
    """
    if wanted is not None and (Path(wanted) / CHAIN).is_file():
        return read_chain(Path(wanted).absolute())
    chains = chains_of(store)
    if not chains:
        raise RecipeError(f"{chains_folder(store)}: no chain was submitted; is it this --store?")
    if wanted is None:
        return chains[-1]
    fitting = [c for c in chains if c.id == wanted] or [
        c for c in chains if c.id.startswith(wanted)
    ]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(c.id for c in (fitting or chains)[-10:])
    problem = "fits several chains" if fitting else "no such chain"
    raise RecipeError(f"{wanted}: {problem}; there are: {listed}")


def append_submission(chain: Chain, submission: Submission) -> None:
    """Note that a job was submitted."""
    _append(chain.folder / SUBMITTED, asdict(submission))


def read_submissions(chain: Chain) -> list[Submission]:
    """Return every submission, oldest first."""
    return [_of(Submission, line) for line in _lines(chain.folder / SUBMITTED)]


def job_ids(chain: Chain) -> dict[str, str]:
    """Return the id of the newest submission of each job that was submitted."""
    return {s.name: s.job_id for s in read_submissions(chain)}


def append_cancellation(chain: Chain, job_ids: Iterable[str]) -> None:
    """Note that jobs are cancelled; done before the scheduler is told."""
    _append(chain.folder / CANCELLED, asdict(Cancellation(now(), tuple(job_ids))))


def read_cancellations(chain: Chain) -> list[Cancellation]:
    """Return every cancellation, oldest first."""
    found = [_of(Cancellation, line) for line in _lines(chain.folder / CANCELLED)]
    return [Cancellation(c.time, tuple(c.job_ids)) for c in found]


def is_cancelled(chain: Chain, job_id: str) -> bool:
    """Whether a job was cancelled; it must then neither requeue itself nor submit another."""
    return any(job_id in c.job_ids for c in read_cancellations(chain))


def append_event(chain: Chain, name: str, event: AttemptEvent) -> None:
    """Note the start or end of an attempt."""
    values = {k: v for k, v in asdict(event).items() if v is not None or k == "checkpoint_step"}
    _append(_attempts(chain, name), values)


def read_events(chain: Chain, name: str) -> list[AttemptEvent]:
    """Return the events of a job, oldest first."""
    return [_of(AttemptEvent, line) for line in _lines(_attempts(chain, name))]


def _attempts(chain: Chain, name: str) -> Path:
    return chain.folder / "attempts" / f"{chain.job(name).name}.jsonl"


def _job(values: Mapping[str, Any]) -> ChainJob:
    lists = {k: tuple(v) for k, v in values.items() if isinstance(v, list)}
    return ChainJob(**{**values, **lists})


def _of(kind: type[Any], values: Mapping[str, Any]) -> Any:
    known = {f.name for f in fields(kind)}
    return kind(**{k: v for k, v in values.items() if k in known})


def _append(path: Path, values: Mapping[str, Any]) -> None:
    """Append one line in one write; a torn line before it is closed first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(values, ensure_ascii=False) + "\n"
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else "\n" + line
        file.write(line.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue  # torn by a kill in the middle of the write; the next line is whole again
        if isinstance(value, dict):
            found.append(value)
    return found
