"""Files of a job chain: submitted jobs, job ids, and records of every attempt.

    <store>/chains/<id>/
        chain.json             jobs and settings; written once, before submission
        project/               the resolved recipe, its data cards and its lock, as submitted
        scripts/NAME.sh        the batch script of a job
        logs/NAME-<job id>.log
        submitted.jsonl        one line per submission
        attempts/NAME.jsonl    one line at the start and one at the end of every attempt
        attempts/NAME-*.txt    notes of the script itself, per attempt
        cancelled.jsonl        one line per `finetune cancel`

The state of a chain is read from these files, so it can be followed from another terminal, after
Slurm has forgotten the jobs, and without an accounting database.
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

from finetune.cluster.chain.size import Size
from finetune.errors import RecipeError, StoreError
from finetune.messages import Place, problem
from finetune.output.durable import replace_text
from finetune.output.paths import as_written

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
    """Labels of the stages that the job runs, as `finetune plan` shows them."""
    script: str
    """Batch script, relative to the chain's folder."""
    log: str
    """Log file relative to the chain's folder, with %j for the job id."""
    depends_on: tuple[str, ...] = ()
    """Names of the jobs that it depends on."""
    total_steps: int | None = None
    """Optimizer steps of a training run with `max_steps`."""
    artefacts: tuple[str, ...] = ()
    """`stage/key` of each of `stages`, so that following a chain computes no keys."""
    inputs: tuple[str, ...] = ()
    """`stage/key` of its input artefacts; the job fails if one is not in the store."""
    array: str | None = None
    """Name of its job array (`train`), whose tasks share script and id."""
    task: int | None = None
    """Index in the array (SLURM_ARRAY_TASK_ID, unless it is packed); the job id of a task is
    `ARRAY ID_INDEX`."""
    recipe: str | None = None
    """Resolved recipe of this task, relative to the chain's folder; None: that of the chain."""
    settings: tuple[str, ...] = ()
    """Recipe values that this task overrides, `key=value`."""
    pack: int | None = None
    """Index in the array of the Slurm job that runs this training beside others; None: its own."""

    @property
    def index(self) -> int | None:
        """Index of its Slurm job in the array: SLURM_ARRAY_TASK_ID."""
        return self.task if self.pack is None else self.pack

    @property
    def script_label(self) -> str:
        """Name of its batch script in logs and notes, which a pack shares."""
        return self.name if self.pack is None else f"{self.array}.pack{self.pack}"


@dataclass(frozen=True, slots=True)
class Chain:
    """A submitted chain. `folder` is not in the file."""

    folder: Path
    id: str
    recipe: str
    """The resolved recipe, relative to `folder`."""
    site: str
    created: str
    """UTC, ISO 8601, with microseconds: chains of one second keep their order."""
    store: str
    jobs: tuple[ChainJob, ...]
    max_restarts: int
    requeue: Literal["allowed", "forbidden"] = "allowed"
    """True if a stopped job is requeued, or continued by a new job."""
    array_limit: int | None = None
    """Maximum number of tasks of a job array that run at the same time."""
    purge_days: int | None = None
    """The site deletes files of the store that were unread for this many days."""
    scheduler: Literal["slurm", "none"] = "slurm"
    """`none`: one script that a person gives to another scheduler; Slurm is not asked about it."""
    size: Size | None = None
    """Nodes, GPUs and time limit of training that were asked for instead of the site's."""
    site_file: str | None = None
    """Site file that the scripts were written from, from which `resubmit` writes them anew."""
    overlay: str | None = None
    """Overlay that was named with it; None: the one that is found by the site's name, if any."""

    @property
    def recipe_path(self) -> Path:
        """The resolved recipe."""
        return self.folder / self.recipe

    @property
    def asks_slurm(self) -> bool:
        """Return whether its jobs are Slurm's."""
        return self.scheduler == "slurm"

    def job(self, name: str) -> ChainJob:
        """Return a job by name; RecipeError if the chain has none of that name."""
        for job in self.jobs:
            if job.name == name:
                return job
        raise RecipeError(
            problem(
                "no-such-job",
                "chain {chain} has no job {job!r}; its jobs: {jobs}",
                chain=self.id,
                job=name,
                jobs=[job.name for job in self.jobs],
            )
        )

    def recipe_of(self, name: str) -> Path:
        """Return the resolved recipe of a job."""
        return self.folder / (self.job(name).recipe or self.recipe)

    def log_path(self, name: str, job_id: str) -> Path:
        """Return the log of a submission of a job."""
        return self.folder / self.job(name).log.replace("%j", job_id)

    def outcomes_of(self, name: str, *, job_id: str, restart: int) -> Path:
        """Return the folder of the exit records of an attempt at a job."""
        return self.folder / "attempts" / f"{self.job(name).name}-{job_id}-{restart}"


@dataclass(frozen=True, slots=True)
class Submission:
    """A job submitted to Slurm."""

    name: str
    job_id: str
    time: str
    continues: str | None = None
    """Id of the job that this one continues, on sites that forbid requeueing."""
    notes: tuple[str, ...] = ()
    """Lines that sbatch printed beside the id: a charged account, a changed partition."""


@dataclass(frozen=True, slots=True)
class AttemptEvent:
    """The start or the end of an attempt at a job."""

    event: Literal["start", "end"]
    time: str
    job_id: str
    restart: int
    """Restarts of the job by Slurm (SLURM_RESTART_COUNT)."""
    checkpoint_step: int | None = None
    """Optimizer step of the newest checkpoint; None for a job without training."""
    outcome: Outcome | None = None
    """At the end."""
    exit_code: int | None = None
    """At the end, if it is known."""
    reason: str | None = None
    """At the end: one line."""
    artefacts_made: int = 0
    """Artefacts of the job in the store."""
    nodes: tuple[str, ...] = ()
    """At the end: nodes that are suspected to be the cause."""
    final: bool | None = None
    """At the end: true if no other attempt follows in this Slurm job."""
    log_bytes: int | None = None
    """At the start: size of the job's log, to show the log of one attempt."""
    allocated: Mapping[str, int] | None = None
    """`nodes`, `cpus` and `gpus` of the whole job, as far as Slurm says."""
    ran_seconds: float | None = None
    """At the end: time since Slurm started the job, else since this record's start."""
    peak_bytes: int | None = None
    """At the end: largest resident set of a rank."""
    cpu_seconds: float | None = None
    """At the end: of all ranks."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A `finetune cancel`: jobs that are neither requeued nor continued."""

    time: str
    job_ids: tuple[str, ...]
    because: str = ""
    """Reason, if it was not a `finetune cancel`."""


def now(timespec: Literal["seconds", "microseconds"] = "seconds") -> str:
    """Return the current time in the format of the chain's files (UTC, ISO 8601)."""
    return datetime.now(UTC).isoformat(timespec=timespec)


def new_chain_id(recipe_name: str) -> str:
    """Return `<recipe name>-<yyyymmdd>-<hhmmss>-<4 hex digits>`, safe in paths and job names."""
    slug = re.sub(r"[^a-z0-9._-]+", "-", recipe_name.lower()).strip("-.") or "recipe"
    return f"{slug}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def chains_folder(store: Path) -> Path:
    """Return the folder of all chains of a store."""
    return store / "chains"


def write_chain(chain: Chain) -> None:
    """Write `chain.json` atomically."""
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
            raise StoreError(
                problem(
                    "chain-of-another-version",
                    "the chain was written by another version of finetune; use that version",
                    at=Place(path),
                )
            )
        jobs = tuple(_job(job) for job in values.pop("jobs"))
        asked = values.pop("size", None)
        size = None if asked is None else _of(Size, asked)
        return Chain(folder=folder, jobs=jobs, size=size, **values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            problem(
                "unreadable-chain",
                "the chain cannot be read ({error}); submit the recipe again",
                at=Place(path),
                error=repr(error),
            )
        ) from None


def chains_of(store: Path) -> list[Chain]:
    """Return the chains of a store, oldest first."""
    paths = chains_folder(store).glob(f"*/{CHAIN}")
    return sorted((read_chain(p.parent) for p in paths), key=lambda c: (c.created, c.id))


def find_chain(store: Path, name: str | None = None) -> Chain:
    """Return a chain by folder, id or first letters of an id; the newest if `name` is None.

    Raises RecipeError if no chain, or more than one, matches.
    """
    if name is not None and (Path(name) / CHAIN).is_file():
        return read_chain(as_written(Path(name)))
    chains = chains_of(store)
    if not chains:
        raise RecipeError(
            problem(
                "no-chain",
                "no chain was submitted from this store; name its store with --store",
                at=Place(chains_folder(store)),
            )
        )
    if name is None:
        return chains[-1]
    matching = [c for c in chains if c.id == name] or [c for c in chains if c.id.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    ids = [c.id for c in (matching or chains)[-10:]]
    raise RecipeError(
        problem(
            "several-chains", "{name!r} matches several chains: {chains}", name=name, chains=ids
        )
        if matching
        else problem(
            "no-such-chain",
            "there is no chain {name!r}; the newest chains: {chains}",
            name=name,
            chains=ids,
        )
    )


def append_submission(chain: Chain, submission: Submission) -> None:
    """Record a submission."""
    _append(chain.folder / SUBMITTED, asdict(submission))


def read_submissions(chain: Chain) -> list[Submission]:
    """Return every submission, oldest first."""
    return [_of(Submission, line) for line in _lines(chain.folder / SUBMITTED)]


def job_ids(chain: Chain) -> dict[str, str]:
    """Return the id of the newest submission of each job that was submitted."""
    return {s.name: s.job_id for s in read_submissions(chain)}


def names_by_id(chain: Chain) -> dict[str, tuple[str, ...]]:
    """Return the jobs of each id that was submitted; packed training runs share one."""
    names: dict[str, dict[str, None]] = {}
    for sent in read_submissions(chain):
        names.setdefault(sent.job_id, {})[sent.name] = None
    return {job_id: tuple(found) for job_id, found in names.items()}


def append_cancellation(chain: Chain, job_ids: Iterable[str], *, because: str = "") -> None:
    """Record that jobs are cancelled; called before Slurm is asked to cancel them."""
    _append(chain.folder / CANCELLED, asdict(Cancellation(now(), tuple(job_ids), because)))


def read_cancellations(chain: Chain) -> list[Cancellation]:
    """Return every cancellation, oldest first."""
    return [_of(Cancellation, line) for line in _lines(chain.folder / CANCELLED)]


def is_cancelled(chain: Chain, job_id: str) -> bool:
    """Return whether a job was cancelled, so that it must not requeue itself or submit another."""
    return any(job_id in c.job_ids for c in read_cancellations(chain))


def append_event(chain: Chain, name: str, event: AttemptEvent) -> None:
    """Record the start or end of an attempt."""
    values = {k: v for k, v in asdict(event).items() if v is not None or k == "checkpoint_step"}
    _append(_attempts(chain, name), values)


def read_events(chain: Chain, name: str) -> list[AttemptEvent]:
    """Return the events of a job, oldest first."""
    return [_of(AttemptEvent, line) for line in _lines(_attempts(chain, name))]


def _attempts(chain: Chain, name: str) -> Path:
    return chain.folder / "attempts" / f"{chain.job(name).name}.jsonl"


def _job(values: Mapping[str, Any]) -> ChainJob:
    return ChainJob(**_with_tuples(values))


def _of(kind: type[Any], values: Mapping[str, Any]) -> Any:
    known = {f.name for f in fields(kind)}
    return kind(**_with_tuples({k: v for k, v in values.items() if k in known}))


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def _append(path: Path, values: Mapping[str, Any]) -> None:
    """Append one line in one write, after completing a torn last line."""
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
    values = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue  # torn by a kill during the write
        if isinstance(value, dict):
            values.append(value)
    return values
