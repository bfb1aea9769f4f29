"""Batch scripts of the jobs of a chain, written to be read by engineers.

User input is quoted for the shell; `#SBATCH` lines contain only lines of the site, numbers, and
sanitised names.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

from finetune.cluster.chain.chain import Chain, ChainJob
from finetune.errors import Stopped
from finetune.launch.devices import GPUS
from finetune.launch.rendezvous import HOST_SUFFIX, INTERFACES
from finetune.output.templates import text_environment
from finetune.spec.sections.electricity import as_environment
from finetune.spec.site import JobRequest, Site
from finetune.spec.values.sbatch_lines import gpus_of, merge_lines, option_of

Kind = Literal["prepare", "train", "evaluate", "release", "debug", "run"]
"""`run`: every stage in one job, on the nodes of a training run."""
ON_ALL_RANKS: tuple[Kind, ...] = ("train", "debug", "run")
"""Kinds of jobs with one process per GPU."""
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Environment variables that keep the Hub's libraries offline."""
PATIENCE_SECONDS = 600
"""Time for which a job repeats a command of Slurm; without its controller no time limit ends it."""


@dataclass(frozen=True, slots=True)
class Work:
    """Command of a job."""

    kind: Kind
    arguments: tuple[str, ...]
    """Of `finetune`: verb, recipe, options."""
    command: tuple[str, ...]
    """Command that starts `finetune`."""


def script_of(
    job: ChainJob, work: Work, *, chain: Chain, site: Site, array: str | None = None
) -> str:
    """Return the batch script of a job, or of the job array that `job` is a task of.

    `array`: the indices of the tasks, as `sbatch --array` takes them.
    """
    request = request_of(work.kind, site)
    ranks = ranks_of(work.kind, site)
    environment = {"TRITON_CACHE_DIR": str(chain.folder / "triton")}  # homes have small quotas
    environment |= environment_of(work.kind, site)
    engine = text_environment("finetune.cluster.job", filters={"quoted": shlex.quote})
    packed = job.pack is not None
    return engine.get_template("job.sh.j2").render(
        header=header(job, request, chain=chain, site=site, array=array),
        job=job.array or job.name,
        name=f"{job.array or job.name}.{chain.id}",
        login=site.shell == "login",
        patience_seconds=PATIENCE_SECONDS,
        array=array is not None,
        own_recipe=job.recipe is not None,
        packs=_packs(job, chain=chain),
        gpus=expected_gpus(work.kind, site),
        chain=str(chain.folder),
        chain_id=chain.id,
        site=site.name,
        command=shlex.join([*site.launcher, *work.command]),
        setup=[*site.setup, *request.setup],
        environment=list(environment.items()),
        ranks=1 if packed else ranks,
        cpus_per_rank=request.cpus_per_rank,
        srun=shlex.join(srun_options(work.kind, site, packed=packed)),
        arguments=_arguments(job, work),
        requeue=chain.requeue == "allowed",
        identity="",
        stop_signals="USR1 TERM",
        script=job.script,
        stopped=Stopped.exit_code,
    )


def environment_of(kind: Kind, site: Site) -> dict[str, str]:
    """Return the environment variables of a job; those of the site come last and win."""
    request = request_of(kind, site)
    ours = {name: "1" for name in OFFLINE if site.offline}
    ours["OMP_NUM_THREADS"] = str(request.cpus_per_rank)
    if site.launcher:
        ours["PYTHONNOUSERSITE"] = "1"  # packages of ~/.local are not for the Python of an image
    expected = expected_gpus(kind, site)
    if expected:
        ours[GPUS] = str(expected)
    if site.interface is not None:
        ours[INTERFACES] = site.interface
    if site.host_suffix is not None:
        ours[HOST_SUFFIX] = site.host_suffix
    ours |= as_environment(site.electricity)
    return {**ours, **site.environment, **request.environment}


def expected_gpus(kind: Kind, site: Site) -> int:
    """Return the GPUs per node without which a job of this kind must not start."""
    if kind in ON_ALL_RANKS:
        return site.gpus_per_node
    if kind == "evaluate":
        return gpus_of(site.evaluate.sbatch) or gpus_of(site.sbatch) or 0
    return 0


def _packs(job: ChainJob, *, chain: Chain) -> list[tuple[int, list[str]]]:
    """Return the training runs of each pack of an array, by its index; none if it is not packed."""
    packs: dict[int, list[str]] = {}
    for other in chain.jobs:
        if other.array == job.array and other.pack is not None:
            packs.setdefault(other.pack, []).append(other.name)
    return sorted(packs.items())


def _arguments(job: ChainJob, work: Work) -> str:
    """Return the arguments of `finetune`; each task of a sweep has a recipe of its own."""
    if job.recipe is None:
        return shlex.join(work.arguments)
    verb, _, *rest = work.arguments
    return " ".join([shlex.quote(verb), '"$recipe"', shlex.join(rest)])


def header(
    job: ChainJob, request: JobRequest, *, chain: Chain, site: Site, array: str | None = None
) -> list[str]:
    """Return the `#SBATCH` lines; log paths are relative to the chain's folder."""
    log = job.log if array is None else log_of_array(job)
    ours = [
        f"--job-name={job.array or job.name}.{chain.id}",
        *([f"--array={array}"] if array is not None else []),
        f"--output={log}",
        "--open-mode=append",
        f"--nodes={request.nodes}",
        f"--ntasks-per-node={request.ranks_per_node}",
        f"--cpus-per-task={request.cpus_per_rank}",
        f"--time={request.time_limit}",
        f"--signal=B:USR1@{site.grace_seconds}",
        "--requeue" if chain.requeue == "allowed" else "--no-requeue",
    ]
    of_site = merge_lines(site.sbatch, request.sbatch)
    return [*(f"#SBATCH {option}" for option in ours), *of_site, *_mail(job, of_site, chain=chain)]


def log_of_array(job: ChainJob) -> str:
    """Return the log of the tasks of a job array as sbatch takes it; runs of a pack have another.

    >>> log_of_array(ChainJob("train.3", (), "", "logs/train-%j.log", array="train", task=3))
    'logs/train-%A_%a.log'
    """
    log = job.log if job.pack is None else f"logs/{job.array}-%j.log"
    return log.replace("%j", "%A_%a")


def _mail(job: ChainJob, lines: list[str], *, chain: Chain) -> list[str]:
    """Return the line of the events that are mailed: one at the end of a chain, not one per job.

    The last job ends, or is cancelled with the job before it, in any case; a job that is requeued
    has not failed.
    """
    options = {option_of(line) for line in lines}
    if "mail-user" not in options or "mail-type" in options:
        return []
    waited_for = {name for other in chain.jobs for name in other.depends_on}
    return [f"#SBATCH --mail-type={'FAIL' if job.name in waited_for else 'END,FAIL'}"]


def request_of(kind: Kind, site: Site) -> JobRequest:
    """Return the resources of a kind of job; `run` has those of `train`, `debug` too."""
    if kind == "run":
        return site.train
    if kind != "debug":
        request: JobRequest = getattr(site, kind)
        return request
    short = site.debug
    assert short is not None  # noqa: S101, the caller looked
    return site.train.model_copy(
        update={
            "sbatch": merge_lines(site.train.sbatch, short.sbatch),
            "nodes": short.nodes or site.train.nodes,
            "time_limit": short.time_limit,
        }
    )


def ranks_of(kind: Kind, site: Site) -> int:
    """Return the number of ranks of a job; only training runs have several."""
    request = request_of(kind, site)
    return request.nodes * request.ranks_per_node if kind in ON_ALL_RANKS else 1


def srun_options(kind: Kind, site: Site, *, packed: bool = False) -> list[str]:
    """Return the options of srun: one task per rank; a failed rank ends the job.

    A pack is one step as well, with a task per training (their number is the script's), because
    memory, GPUs and the binding of the site are then divided as in any training: steps of their own
    wait for one another where the first takes all memory. A failed training ends no other.
    """
    request = request_of(kind, site)
    if packed:
        return [*site.srun, *request.srun, "--kill-on-bad-exit=0", "--wait=0"]
    if kind in ON_ALL_RANKS:
        size = [f"--nodes={request.nodes}", f"--ntasks-per-node={request.ranks_per_node}"]
    else:
        size = ["--nodes=1", "--ntasks=1"]
    return [*size, "--kill-on-bad-exit=1", *site.srun, *request.srun]


def time_limit_seconds(text: str) -> int:
    """Return a time limit of sbatch in seconds.

    >>> [time_limit_seconds(t) for t in ("90", "10:30", "01:00:00", "1-00:00", "1-02:00:00")]
    [5400, 630, 3600, 86400, 93600]
    """
    days, dash, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:  # days-hours:minutes[:seconds]
        hours, minutes, seconds = (*parts, 0, 0)[:3]
        return ((int(days) * 24 + hours) * 60 + minutes) * 60 + seconds
    if len(parts) == 1:  # minutes
        return parts[0] * 60
    hours, minutes, seconds = parts if len(parts) == 3 else (0, *parts)
    return (hours * 60 + minutes) * 60 + seconds
