"""Recipe + site -> a chain of Slurm jobs: prepare, train (one job a phase), evaluate, release."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

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
    shortened,
    write_recipe,
)
from finetune.cluster.chain.snapshot import write_snapshot as write_project
from finetune.cluster.job.batch_script import Kind, Work, request_of, script_of, time_limit_seconds
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.submit.queue import enqueue
from finetune.errors import ClusterError, RecipeError, StoreError
from finetune.pipeline import plan
from finetune.pipeline.gate import Opened, refuse_unopened
from finetune.pipeline.plan import Step
from finetune.pipeline.store import Store, default_store
from finetune.spec.load import Project
from finetune.spec.site import Site

DISTRIBUTION = "finetune-lowres"
DEBUG_RECIPE = "debug.json"
DEBUG_STORE = "debug"
EARLY_SECONDS = 60
"""Slurm's warning may come so much earlier than asked for."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A chain that could be submitted."""

    project: Opened
    """The recipe that the chain was planned from."""
    chain: Chain
    scripts: dict[str, str]
    """Name of a job or job array -> batch script."""
    debug_steps: int | None
    """Optimizer steps of the trial in the short queue, if there is one."""
    todo: tuple[ChainJob, ...]
    """What is submitted: the jobs whose artefacts are not in the store."""
    tasks: Mapping[str, Opened] = field(default_factory=dict)
    """Recipe in the snapshot -> what a task of a job array runs."""


def plan_chain(project: Opened, *, site: Site, store: Store, debug: bool) -> Planned:
    """Return the jobs that make what the recipe needs and is not in the store; writes nothing.

    Raises RecipeError when a trial is asked for and the site has no short queue.
    """
    if debug and site.debug is None:
        raise RecipeError(f"--debug: the site {site.name!r} has no short queue (key `debug`)")
    folder = chains_folder(store.root) / new_chain_id(project.recipe.name)
    works = [
        (job, work)
        for job, work in jobs_of(project, store=store, folder=folder, command=command_of(site))
        if store.lacking(job.artefacts)
    ]
    if debug:
        works = _with_trial(works, folder=folder, site=site)
    jobs: list[ChainJob] = []
    for job, _ in works:
        after = (jobs[-1].name,) if jobs else ()
        jobs.append(replace(job, depends_on=after))
    chain = chain_of(jobs, folder=folder, site=site, store=store)
    scripts = {
        job.name: script_of(job, work, chain=chain, site=site)
        for job, (_, work) in zip(jobs, works, strict=True)
    }
    steps = site.debug.steps if debug and site.debug else None
    return Planned(
        project=project, chain=chain, scripts=scripts, debug_steps=steps, todo=chain.jobs
    )


def chain_of(
    jobs: Sequence[ChainJob],
    *,
    folder: Path,
    site: Site,
    store: Store,
    array_limit: int | None = None,
) -> Chain:
    """Return the chain of some jobs on a site, to lie in `folder`, whose name is its id."""
    return Chain(
        folder=folder,
        id=folder.name,
        recipe=f"{FOLDER}/{RECIPE}",
        site=site.name,
        created=now(),
        store=str(store.root),
        jobs=tuple(jobs),
        max_restarts=site.max_restarts,
        requeue=site.requeue,
        purge_days=site.purge_days,
        array_limit=array_limit,
    )


def problems(project: Project, planned: Planned, *, site: Site, store: Store) -> list[str]:
    """Return everything that would make the jobs fail, before anything is queued."""
    found = []
    fetched = [step for step in plan.steps_of(project) if step.stage.needs_network]
    absent = [s.label for s in fetched if store.state(s.stage.name, s.key) != "done"]
    if absent:
        found.append(
            f"not in the store {store.root}: {', '.join(absent)}. Compute nodes have no network; "
            f"on the login node: finetune fetch {project.path} --store {store.root}"
        )
    return found + damaged(project, store) + site_problems(planned.scripts, site=site)


def site_problems(names_of_jobs: Iterable[str], *, site: Site) -> list[str]:
    """Return what of a site would make jobs (or job arrays) fail, by their names."""
    found = []
    if site.placeholders:
        names = ", ".join(f"<{name}>" for name in site.placeholders)
        found.append(
            f"site {site.name}: {names} not filled; write `values: {{NAME: value}}` into an "
            "overlay (--overlay FILE)"
        )
    if site.command is None:
        found += missing_packages()
    for name in dict.fromkeys(names_of_jobs):
        request = request_of(_kind(name), site)
        needed = site.grace_seconds + EARLY_SECONDS
        if time_limit_seconds(request.time_limit) <= needed:
            found.append(
                f"site {site.name}: the time limit {request.time_limit} of {name} is not above "
                f"{needed} s, which is grace_seconds and the {EARLY_SECONDS} s that Slurm's "
                "warning may come early"
            )
    return found


def damaged(project: Project, store: Store) -> list[str]:
    """Say which finished artefacts of a recipe lost files since, each with the way back."""
    found = []
    for step in plan.steps_of(project):
        try:
            store.find(step.stage.name, step.key)
        except StoreError as error:
            found.append(f"{step.label}: {error}")
    return found


def missing_packages(distribution: str = DISTRIBUTION) -> list[str]:
    """Return the packages that finetune needs and that are missing here or too old."""
    from packaging.requirements import Requirement

    try:
        wanted = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []  # run from its source, by somebody who put the environment together by hand
    found = []
    for requirement in map(Requirement, wanted):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            found.append(f"package {requirement.name} is not installed for {sys.executable}")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            found.append(f"package {requirement.name} is {version}; needed: {requirement}")
    return found


def submit_chain(planned: Planned, *, site: Site) -> list[Submission]:
    """Write the chain and give its jobs to Slurm; return the submissions in order.

    Raises ClusterError when Slurm refuses one, and then nothing of the chain is left in the queue;
    TypeError for a recipe that did not pass the gate for making something.
    """
    for project in (planned.project, *planned.tasks.values()):
        refuse_unopened(project)
    chain = planned.chain
    folder = chain.folder
    write_files(planned, versions=site.command is None)
    for script in dict.fromkeys(job.script for job in planned.todo):
        refused = slurm.refusal(folder / script, folder=folder)
        if refused is not None:
            shutil.rmtree(folder)
            raise ClusterError(f"{Path(script).stem}: {refused}\nNothing was submitted")
    return enqueue(chain, planned.todo)


def write_files(planned: Planned, *, versions: bool) -> None:
    """Write a chain's folder."""
    project, chain, folder = planned.project, planned.chain, planned.chain.folder
    write_project(project, folder / FOLDER, versions=versions)
    for name, task in planned.tasks.items():
        write_recipe(absolute(task.recipe), folder / name)
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
    """Return the store that a site names, with `$NAME` replaced; RecipeError if one is not set."""
    if site.store is None or site.placeholders:
        return None
    path = os.path.expandvars(site.store)
    unset = re.search(r"\$\{?(\w+)", path)
    if unset:
        raise RecipeError(
            f"site {site.name}: store: {site.store}: ${unset[1]} is not set here; "
            "submit from a login shell, or name a folder with --store"
        )
    return Path(path).expanduser()


def store_of(named: Path | None, *, site: Site | None) -> Store:
    """Return the store that is named, or the site's, or the default."""
    root = named or (site_store(site) if site else None) or default_store()
    return Store(root.resolve())


def command_of(site: Site) -> tuple[str, ...]:
    """Return how jobs start finetune."""
    return tuple(site.command) if site.command else (sys.executable, "-m", "finetune")


def jobs_of(
    project: Project, *, store: Store, folder: Path, command: tuple[str, ...]
) -> list[tuple[ChainJob, Work]]:
    """Return the jobs of a recipe in order, each with what it runs."""
    steps = plan.steps_of(project)
    trainings = [step for step in steps if step.stage.name == "train"]
    groups: list[tuple[str, Kind, tuple[Step, ...]]] = [
        ("prepare", "prepare", tuple(s for s in steps if s.stage.name in ("prepare", "vocabulary")))
    ]
    several = len(trainings) > 1
    groups += [
        (f"train-{step.phase.name}" if several else "train", "train", (step,)) for step in trainings
    ]
    groups += [(s.label, s.label, (s,)) for s in steps if s.label in ("evaluate", "release")]  # type: ignore[misc]
    found = []
    for name, kind, made in groups:
        arguments = [kind, str(folder / FOLDER / RECIPE), "--store", str(store.root)]
        if kind == "train" and several:
            arguments += ["--phase", made[0].phase.name]
        total = made[0].phase.train.max_steps if kind == "train" else None
        job = _chain_job(name, made, total_steps=total)
        found.append((job, Work(kind, tuple(arguments), command)))
    return found


def work_of(chain: Chain, job: ChainJob, *, site: Site) -> Work:
    """Return what a job of a chain runs, as `jobs_of` said when it was planned."""
    kind = _kind(job.array or job.name)
    project, store = chain.folder / FOLDER, Path(chain.store)
    recipe, training = project / RECIPE, job
    if kind == "debug":
        recipe, store = project / DEBUG_RECIPE, chain.folder / DEBUG_STORE
        training = next(j for j in chain.jobs if j.stages and j.stages[0].startswith("train"))
    arguments = ["train" if kind == "debug" else kind, str(recipe), "--store", str(store)]
    _, _, phase = training.stages[0].partition(" ") if kind in ("train", "debug") else ("", "", "")
    if phase:
        arguments += ["--phase", phase]
    return Work(kind, tuple(arguments), command_of(site))


def _with_trial(
    works: Sequence[tuple[ChainJob, Work]], *, folder: Path, site: Site
) -> list[tuple[ChainJob, Work]]:
    """Put a trial of the first steps before the first training, if there is one to do."""
    found = list(works)
    first = next((i for i, (_, work) in enumerate(works) if work.kind == "train"), None)
    if first is None or site.debug is None:
        return found
    job, work = works[first]
    trial = _chain_job("debug", (), total_steps=site.debug.steps, inputs=job.inputs)
    recipe, store = folder / FOLDER / DEBUG_RECIPE, folder / DEBUG_STORE
    arguments = ("train", str(recipe), "--store", str(store), *work.arguments[4:])
    found.insert(first, (trial, Work("debug", arguments, work.command)))
    return found


def _share_inputs(debug: Path, store: Path) -> None:
    """Make the store of a trial: it has what the real one has, and trains for itself.

    In the real store the real training would go on from the trial's last step.
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
    """Return what has to be in the store before, nearest last."""
    needed: dict[str, None] = {}
    for step in steps:
        for other in step.inputs.values():
            needed |= dict.fromkeys(_needs([other], own=own))
            if other.key not in own:
                needed[f"{other.stage.name}/{other.key}"] = None
    return tuple(needed)


def _kind(name: str) -> Kind:
    return name.partition("-")[0]  # type: ignore[return-value]
