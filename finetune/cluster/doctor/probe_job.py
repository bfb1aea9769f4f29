"""A short job on the compute nodes: the script of a training job, with the probe as its command.

Everything around the command is therefore tried as it will be used: the lines for Slurm, set-up,
environment, launcher, the records at start and end, srun and its ranks.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from finetune.cluster.chain.chain import (
    AttemptEvent,
    Chain,
    ChainJob,
    now,
    read_events,
    write_chain,
)
from finetune.cluster.chain.notes import Notes, notes_of
from finetune.cluster.doctor.probe import VARIABLE
from finetune.cluster.job.batch_script import Kind, Work, request_of, script_of
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.slurm.commands import JobState, Submitted
from finetune.cluster.slurm.reasons import never_starts, why_waiting
from finetune.errors import ClusterError
from finetune.spec.site import JobRequest, Site

NAME = "doctor"
TIME_LIMIT = "00:05:00"
_LOOK_SECONDS = 1.0
_LATE_SECONDS = 10.0
"""Time after which a file of a node is seen here, through the caches of a file system."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Settings of the probe of compute nodes."""

    site: Site
    command: tuple[str, ...]
    """Command that starts finetune on the nodes."""
    nodes: int
    wait_seconds: float
    """Maximum time in the queue and for the answers."""

    @property
    def kind(self) -> Kind:
        """The job whose lines are used: `debug` if the site has a short queue."""
        return "debug" if self.site.debug else "train"

    @property
    def request(self) -> JobRequest:
        """Resources of that job."""
        return request_of(self.kind, self.site)


@dataclass(frozen=True, slots=True)
class Answer:
    """Files and states that a probe job left."""

    log: str = ""
    """Output of the script and of all ranks."""
    notes: Notes = field(default_factory=Notes)
    events: tuple[AttemptEvent, ...] = ()
    """Records of the attempt."""
    state: JobState | None = None
    """State in Slurm at the end."""
    submitted: Submitted | None = None
    submit_seconds: float = 0.0
    error: str = ""
    """Error of the submission or of the wait."""

    @property
    def is_blind(self) -> bool:
        """Return whether the job ended and left no file that is seen here."""
        return self.state is not None and not (self.error or self.log or self.events)


def probe_script(visit: Visit, chain: Chain, *, store: Path) -> str:
    """Return the batch script: that of a training job, but for command, size and time."""
    request = visit.request.model_copy(update={"nodes": visit.nodes, "time_limit": TIME_LIMIT})
    site = visit.site.model_copy(update={"train": request})
    arguments = ("doctor", "--store", str(store), "--as-rank", chain.id)
    work = Work("train", arguments, visit.command)
    return script_of(chain.job(NAME), work, chain=chain, site=site)


def probe_chain(visit: Visit, *, store: Path, token: str) -> Chain:
    """Return a chain of one job that makes no artefact."""
    job = ChainJob(
        NAME, stages=(), script=f"scripts/{NAME}.sh", log=f"logs/{NAME}-%j.log", total_steps=None
    )
    return Chain(
        folder=store / "doctor" / f"{token}-job",
        id=token,
        recipe="project/recipe.json",
        site=visit.site.name,
        created=now(),
        store=str(store),
        jobs=(job,),
        max_restarts=0,
        requeue=visit.site.requeue,
    )


def run_probe_job(visit: Visit, *, store: Path, token: str) -> Answer:
    """Submit the job, wait until it has ended, and return what it left; nothing remains of it."""
    chain = probe_chain(visit, store=store, token=token)
    for name in ("scripts", "logs", "attempts"):
        (chain.folder / name).mkdir(parents=True)
    script = chain.folder / chain.job(NAME).script
    script.write_text(probe_script(visit, chain, store=store), encoding="utf-8")
    script.chmod(0o755)
    write_chain(chain)
    try:
        return _answer(chain, script, wait_seconds=visit.wait_seconds)
    finally:
        shutil.rmtree(chain.folder, ignore_errors=True)


def _answer(chain: Chain, script: Path, *, wait_seconds: float) -> Answer:
    begun = time.monotonic()
    submitted: Submitted | None = None
    try:
        submitted = slurm.submit(script, folder=chain.folder, variables={VARIABLE: chain.id})
    except ClusterError as error:
        return Answer(error=str(error))
    finally:
        if submitted is None:
            _cancel_unseen(script)
    took = time.monotonic() - begun
    state: JobState | None = None
    failure = ""
    try:
        state, failure = _wait(submitted.job_id, until=time.monotonic() + wait_seconds)
    except ClusterError as refused:
        failure = str(refused)
    finally:
        if state is None or state.is_active:
            slurm.cancel([submitted.job_id])
    log = chain.log_path(NAME, submitted.job_id)
    text = _text(log, wait=not failure and state is not None)
    return Answer(
        log=text,
        notes=notes_of(chain, NAME, submitted.job_id),
        events=tuple(read_events(chain, NAME)),
        state=state,
        submitted=submitted,
        submit_seconds=took,
        error=failure,
    )


def _cancel_unseen(script: Path) -> None:
    """Cancel a job that Slurm may have taken although its id was not seen."""
    with contextlib.suppress(ClusterError):
        jobs = slurm.scripts_of_my_jobs()
        slurm.cancel([job_id for job_id, path in jobs.items() if Path(path) == script])


def _wait(job_id: str, *, until: float) -> tuple[JobState | None, str]:
    """Wait until a job has ended; return its last state, and why it was given up."""
    begun = time.monotonic()
    state: JobState | None = None
    while True:
        state = slurm.jobs([job_id]).get(job_id, state)
        if state is None or not state.is_active:
            return state, ""
        if never_starts(state):
            return state, f"the job cannot start: {why_waiting(state)}"
        if time.monotonic() > until:
            waited = f"no answer in {until - begun:.0f} s"
            return state, f"{waited}; {why_waiting(state)}" if state.is_waiting else waited
        time.sleep(_LOOK_SECONDS)


def _text(path: Path, *, wait: bool) -> str:
    last = time.monotonic() + (_LATE_SECONDS if wait else 0)
    while not path.is_file() and time.monotonic() < last:
        time.sleep(_LOOK_SECONDS)
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""
