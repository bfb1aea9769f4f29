"""Job chain of a recipe on a site: prepare, train (one job per phase), evaluate, release."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from finetune.cluster.chain.chain import (
    Chain,
    ChainJob,
    Submission,
    chains_folder,
    new_chain_id,
    now,
    write_chain,
)
from finetune.cluster.chain.snapshot import (
    FOLDER,
    RECIPE,
    absolute,
    add_cards,
    copy_lock,
    shortened,
)
from finetune.cluster.chain.snapshot import write_snapshot as write_project
from finetune.cluster.job.batch_script import Kind, Work, script_of
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.submit.preflight import job_refused, kind_of
from finetune.cluster.submit.queue import (
    enqueue,
    groups,
    indices_of,
    refuse_forbidden_requeue,
)
from finetune.errors import ClusterError, RecipeError
from finetune.messages import Place, problem
from finetune.pipeline import plan
from finetune.pipeline.disk_errors import disk_errors
from finetune.pipeline.gate import Opened, refuse_unopened
from finetune.pipeline.plan import Step
from finetune.pipeline.store import Store
from finetune.pipeline.store_folder import store_root
from finetune.spec.load import Project
from finetune.spec.resolved import write_recipe
from finetune.spec.site import Site

Until = Literal["prepare", "train", "evaluate", "release"]
UNTIL: tuple[Until, ...] = get_args(Until)
"""Kinds of jobs in their order."""
DEBUG_RECIPE = "debug.json"
DEBUG_STORE = "debug"


@dataclass(frozen=True, slots=True)
class Planned:
    """A chain before its submission."""

    project: Opened
    """Recipe of the chain."""
    chain: Chain
    scripts: dict[str, str]
    """Name of a job or job array -> batch script."""
    debug_steps: int | None
    """Optimizer steps of the debug run in the short queue, if there is one."""
    todo: tuple[ChainJob, ...]
    """Jobs to submit: those whose artefacts are not in the store."""
    tasks: Mapping[str, Opened] = field(default_factory=dict)
    """Recipe file in the snapshot -> recipe of a task of a job array."""


def plan_chain(
    project: Opened, *, site: Site, store: Store, debug: bool, until: Until = "release"
) -> Planned:
    """Return the jobs for the stages that are not in the store; writes nothing.

    `until`: the last job. Raises RecipeError for a debug run on a site without a short queue, and
    for an evaluation of several tasks on one that forbids requeueing.
    """
    if debug and site.debug is None:
        raise RecipeError(
            problem(
                "no-short-queue",
                "the site {site!r} has no short queue; add one under its key `debug`",
                at=Place(key="--debug"),
                site=site.name,
            )
        )
    folder = chains_folder(store.root) / new_chain_id(project.recipe.name)
    works = [
        (job, work)
        for job, work in jobs_of(project, store=store, folder=folder, command=command_of(site))
        if store.lacking(job.artefacts) and is_in_chain(work.kind, until=until)
    ]
    if debug:
        works = _with_debug_run(works, folder=folder, site=site)
    jobs: list[ChainJob] = []
    after: tuple[str, ...] = ()
    for job, _ in works:
        tasks = tasks_of(replace(job, depends_on=after), site=site)
        jobs += tasks
        after = tuple(task.name for task in tasks)
    chain = chain_of(jobs, folder=folder, site=site, store=store)
    scripts = {
        job.name: script_of(tasks[0], work, chain=chain, site=site, array=_array(chain, tasks))
        for tasks, (job, work) in zip(groups(jobs), works, strict=True)
    }
    steps = site.debug.steps if debug and site.debug else None
    return Planned(
        project=project, chain=chain, scripts=scripts, debug_steps=steps, todo=chain.jobs
    )


def tasks_of(job: ChainJob, *, site: Site) -> tuple[ChainJob, ...]:
    """Return the tasks of a job array that share a job: those of an evaluation, if asked for.

    Each runs the same command on the same artefacts, and measures what no other has taken. Raises
    RecipeError for a site that forbids requeueing.
    """
    if job.name != "evaluate" or site.evaluation_tasks == 1:
        return (job,)
    refuse_forbidden_requeue(site)
    return tuple(
        replace(job, name=f"{job.name}.{task}", array=job.name, task=task)
        for task in range(site.evaluation_tasks)
    )


def is_in_chain(kind: str, *, until: Until) -> bool:
    """Return whether a kind of job is in a chain up to a kind of job."""
    return kind in UNTIL[: UNTIL.index(until) + 1]


def _array(chain: Chain, tasks: Sequence[ChainJob]) -> str | None:
    return indices_of(chain, tasks) if tasks[0].array is not None else None


def chain_of(
    jobs: Sequence[ChainJob],
    *,
    folder: Path,
    site: Site,
    store: Store,
    array_limit: int | None = None,
) -> Chain:
    """Return the chain of some jobs on a site; the name of `folder` is its id."""
    return Chain(
        folder=folder,
        id=folder.name,
        recipe=f"{FOLDER}/{RECIPE}",
        site=site.name,
        created=now("microseconds"),
        store=str(store.root),
        jobs=tuple(jobs),
        max_restarts=site.max_restarts,
        requeue=site.requeue,
        scheduler=site.scheduler,
        purge_days=site.purge_days,
        array_limit=array_limit,
    )


def submit_chain(planned: Planned, *, site: Site) -> list[Submission]:
    """Write the chain and submit its jobs; return the submissions in order.

    Raises ClusterError if Slurm refuses a job, and then leaves no job in the queue; TypeError for
    a recipe that did not pass the gate; StoreError if the disk is full or closed, and then leaves
    neither a job nor a folder.
    """
    for project in (planned.project, *planned.tasks.values()):
        refuse_unopened(project)
    chain = planned.chain
    folder = chain.folder
    with disk_errors(Path(chain.store)):
        try:
            write_files(planned, versions=site.command is None)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    for script in dict.fromkeys(job.script for job in planned.todo):
        refused = slurm.refusal(folder / script, folder=folder)
        if refused is not None:
            shutil.rmtree(folder)
            raise ClusterError(job_refused(Path(script).stem, output=refused))
    with disk_errors(Path(chain.store)):
        return enqueue(chain, planned.todo)


def write_files(planned: Planned, *, versions: bool) -> None:
    """Write a chain's folder."""
    project, chain, folder = planned.project, planned.chain, planned.chain.folder
    write_project(project, folder / FOLDER, versions=versions)
    for name, task in planned.tasks.items():
        write_recipe(absolute(task.recipe), folder / name)
        if task.recipe.evaluate.tasks:  # the lock has the commits of their data
            copy_lock(task, folder / name)
        add_cards(task, folder / FOLDER)
    if planned.debug_steps is not None:
        recipe = shortened(absolute(project.recipe), steps=planned.debug_steps)
        write_recipe(recipe, folder / FOLDER / DEBUG_RECIPE)
        _share_inputs(folder / DEBUG_STORE, Path(chain.store))
    for name in ("scripts", "logs", "attempts"):
        (folder / name).mkdir()
    for job in chain.jobs:
        path = folder / job.script
        path.write_text(planned.scripts[job.array or job.name], encoding="utf-8")
        path.chmod(0o755)
    write_chain(chain)


def site_store(site: Site) -> Path | None:
    """Return the store of a site, variables expanded. Raises RecipeError if one is not set."""
    if site.store is None or site.placeholders:
        return None
    path = os.path.expandvars(site.store)
    unset = re.search(r"\$\{?(\w+)", path)
    if unset:
        raise RecipeError(
            problem(
                "variable-not-set",
                "site {site}: store {store}: ${variable} is not set here; submit from a login "
                "shell, or name a folder with --store",
                site=site.name,
                store=site.store,
                variable=unset[1],
            )
        )
    return Path(path).expanduser()


def store_of(named: Path | None, *, site: Site | None) -> Store:
    """Return the named store, else the site's, else the default."""
    return Store(store_root(named or (site_store(site) if site else None)))


def command_of(site: Site) -> tuple[str, ...]:
    """Return the command that starts finetune in jobs."""
    return tuple(site.command) if site.command else (sys.executable, "-m", "finetune")


def jobs_of(
    project: Project, *, store: Store, folder: Path, command: tuple[str, ...]
) -> list[tuple[ChainJob, Work]]:
    """Return the jobs of a recipe in order, each with its command."""
    steps = plan.steps_of(project)
    training_steps = [step for step in steps if step.stage.name == "train"]
    groups: list[tuple[str, Kind, tuple[Step, ...]]] = [
        ("prepare", "prepare", tuple(s for s in steps if s.stage.name in ("prepare", "vocabulary")))
    ]
    several = len(training_steps) > 1
    groups += [
        (f"train-{step.phase.name}" if several else "train", "train", (step,))
        for step in training_steps
    ]
    scored = tuple(s for s in steps if s.stage.name in ("baseline", "evaluate"))
    groups.append(("evaluate", "evaluate", scored))
    groups += [("release", "release", (s,)) for s in steps if s.stage.name == "release"]
    jobs = []
    for name, kind, made in groups:
        arguments = [kind, str(folder / FOLDER / RECIPE), "--store", str(store.root)]
        if kind == "train" and several:
            arguments += ["--phase", made[0].phase.name]
        total = made[0].phase.train.max_steps if kind == "train" else None
        job = _chain_job(name, made, total_steps=total)
        jobs.append((job, Work(kind, tuple(arguments), command)))
    return jobs


def verb_of(job: ChainJob) -> str:
    """Return the verb that makes every stage of a job: that of its last one.

    `baseline` and `vocabulary` have none of their own.
    """
    last = job.stages[-1].partition(" ")[0]
    return {"baseline": "evaluate", "vocabulary": "prepare"}.get(last, last)


def work_of(chain: Chain, job: ChainJob, *, site: Site) -> Work:
    """Return the command of a job of a chain, the same as when it was planned."""
    kind = kind_of(job.array or job.name)
    project, store = chain.folder / FOLDER, Path(chain.store)
    recipe, training = project / RECIPE, job
    if kind == "debug":
        recipe, store = project / DEBUG_RECIPE, chain.folder / DEBUG_STORE
        training = next(j for j in chain.jobs if j.stages and j.stages[0].startswith("train"))
    verb = verb_of(job) if kind == "run" else "train" if kind == "debug" else kind
    arguments = [verb, str(recipe), "--store", str(store)]
    _, _, phase = training.stages[0].partition(" ") if kind in ("train", "debug") else ("", "", "")
    if phase:
        arguments += ["--phase", phase]
    return Work(kind, tuple(arguments), command_of(site))


def _with_debug_run(
    works: Sequence[tuple[ChainJob, Work]], *, folder: Path, site: Site
) -> list[tuple[ChainJob, Work]]:
    """Insert a debug run of a few steps before the first training job, if there is one."""
    jobs = list(works)
    first = next((i for i, (_, work) in enumerate(works) if work.kind == "train"), None)
    if first is None or site.debug is None:
        return jobs
    job, work = works[first]
    debug_run = _chain_job("debug", (), total_steps=site.debug.steps, inputs=job.inputs)
    recipe, store = folder / FOLDER / DEBUG_RECIPE, folder / DEBUG_STORE
    arguments = ("train", str(recipe), "--store", str(store), *work.arguments[4:])
    jobs.insert(first, (debug_run, Work("debug", arguments, work.command)))
    return jobs


def _share_inputs(debug: Path, store: Path) -> None:
    """Make the store of a debug run: inputs linked to the real store, training separate.

    In the real store the training run would resume from the last step of the debug run.
    """
    debug.mkdir()
    for stage in ("base", "corpus", "prepare", "vocabulary"):
        (store / stage).mkdir(exist_ok=True)
        (debug / stage).symlink_to(store / stage)


def _chain_job(
    name: str,
    made: Sequence[Step],
    *,
    total_steps: int | None,
    inputs: tuple[str, ...] | None = None,
) -> ChainJob:
    own = {s.key for s in made}
    return ChainJob(
        name=name,
        stages=tuple(s.label for s in made),
        script=f"scripts/{name}.sh",
        log=f"logs/{name}-%j.log",
        total_steps=total_steps,
        artefacts=tuple(f"{s.stage.name}/{s.key}" for s in made),
        inputs=inputs if inputs is not None else _needs(made, own=own),
    )


def _needs(steps: Sequence[Step], *, own: set[str]) -> tuple[str, ...]:
    """Return the input artefacts of these steps, nearest last."""
    needed: dict[str, None] = {}
    for step in steps:
        for other in step.inputs.values():
            needed |= dict.fromkeys(_needs([other], own=own))
            if other.key not in own:
                needed[f"{other.stage.name}/{other.key}"] = None
    return tuple(needed)
