"""Job arrays of a sweep: one task per combination, each with its own resolved recipe.

Shared work (a prepared corpus, an earlier phase) is one task, so that no GPU waits for the work of
another task. Nothing is released: `finetune submit RECIPE --set ...` releases the chosen
combination from the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from finetune.cluster.chain.chain import Chain, ChainJob, chains_folder, new_chain_id
from finetune.cluster.chain.snapshot import FOLDER
from finetune.cluster.job.batch_script import Work, script_of
from finetune.cluster.submit.preflight import problems
from finetune.cluster.submit.queue import indices_of, refuse_forbidden_requeue
from finetune.cluster.submit.submit import (
    Planned,
    Until,
    chain_of,
    command_of,
    is_in_chain,
    jobs_of,
)
from finetune.cluster.submit.sweep import Combination
from finetune.messages import Problem
from finetune.pipeline.gate import Opened
from finetune.pipeline.store import Store
from finetune.spec.load import Project
from finetune.spec.site import Site


def plan_sweep(
    combinations: Sequence[Combination],
    *,
    project: Opened,
    site: Site,
    store: Store,
    limit: int | None,
    until: Until = "evaluate",
    pack: int | None = None,
) -> Planned:
    """Return the job arrays that prepare, train and evaluate every combination; writes nothing.

    `project`: the recipe without the settings of the combinations. `until`: the last array. `pack`:
    training runs that one job has side by side. Raises RecipeError for a site that forbids
    requeueing, where a stopped task could not resume.
    """
    refuse_forbidden_requeue(site)
    folder = chains_folder(store.root) / new_chain_id(combinations[0].project.recipe.name)
    jobs, works = _tasks(combinations, store=store, folder=folder, site=site)
    works = {name: work for name, work in works.items() if is_in_chain(work.kind, until=until)}
    jobs = tuple(job for job in jobs if job.array in works)
    if pack is not None:
        jobs = packed(jobs, pack, store=store)
    chain = chain_of(jobs, folder=folder, site=site, store=store, array_limit=limit)
    own = {f"{FOLDER}/{task_recipe(c.index)}": c.project for c in combinations}
    used = {job.recipe for job in jobs}
    todo = tuple(job for job in jobs if store.lacking(job.artefacts))
    return Planned(
        project=project,
        chain=chain,
        scripts=scripts_of(chain, works, site=site, todo=todo),
        debug_steps=None,
        todo=todo,
        tasks={recipe: task for recipe, task in own.items() if recipe in used},
    )


def packed(jobs: Sequence[ChainJob], size: int, *, store: Store) -> tuple[ChainJob, ...]:
    """Return the jobs with `size` training runs of each array per Slurm job, in order.

    Those whose artefacts are in the store already come last, in packs of their own, so that they
    take no place beside one that is to do.
    """
    found: dict[str, ChainJob] = {}
    for name in dict.fromkeys(job.array for job in jobs if is_training(job)):
        tasks = [job for job in jobs if job.array == name]
        first = 0
        for group in (
            [job for job in tasks if store.lacking(job.artefacts)],
            [job for job in tasks if not store.lacking(job.artefacts)],
        ):
            for number, job in enumerate(group):
                log = f"logs/{job.name}-%j.log"
                found[job.name] = replace(job, pack=first + number // size, log=log)
            first += -(-len(group) // size)
    return tuple(found.get(job.name, job) for job in jobs)


def is_training(job: ChainJob) -> bool:
    """Return whether a job is a training run."""
    return any(one.startswith("train/") for one in job.artefacts)


def scripts_of(
    chain: Chain, works: Mapping[str, Work], *, site: Site, todo: Sequence[ChainJob]
) -> dict[str, str]:
    """Return the batch script of each job array, for the tasks that are to do."""
    scripts = {}
    for name, work in works.items():
        tasks = [job for job in chain.jobs if job.array == name]
        indices = indices_of(chain, [job for job in tasks if job in todo] or tasks)
        scripts[name] = script_of(tasks[0], work, chain=chain, site=site, array=indices)
    return scripts


def sweep_problems(
    combinations: Sequence[Combination], planned: Planned, *, site: Site, store: Store
) -> list[Problem]:
    """Return every reason why a task would fail, without duplicates."""
    lacking: dict[tuple[str, ...], list[Combination]] = {}
    for combination in combinations:
        fetched = [step for step in combination.steps if step.stage.needs_network]
        absent = [s.key for s in fetched if store.state(s.stage.name, s.key) != "cached"]
        lacking.setdefault(tuple(absent), []).append(combination)
    found: list[Problem] = []
    for group in lacking.values():
        first = group[0]
        common = [s for s in first.settings if all(s in other.settings for other in group)]
        own = set(first.settings) - set(common)
        kept = tuple(given for given in first.project.overrides if given not in own)
        of_all = replace(first.project, overrides=kept)
        found += problems(first.project, planned.scripts, site=site, store=store, fetching=of_all)
    return list(dict.fromkeys(found))


def task_recipe(index: int) -> str:
    """Return the name of the recipe of a task in the snapshot."""
    return f"task-{index}.json"


def _tasks(
    combinations: Sequence[Combination], *, store: Store, folder: Path, site: Site
) -> tuple[tuple[ChainJob, ...], dict[str, Work]]:
    """Return the tasks, grouped by array, and the command of each array."""
    tasks: dict[tuple[str, ...], ChainJob] = {}  # by artefacts
    works: dict[str, Work] = {}
    for combination in combinations:
        before: tuple[str, ...] = ()
        project, settings = combination.project, combination.settings
        for job, work in jobs_of(project, store=store, folder=folder, command=command_of(site)):
            if work.kind == "release":
                continue
            known = tasks.get(job.artefacts)
            tasks[job.artefacts] = task = (
                replace(known, settings=tuple(s for s in known.settings if s in settings))
                if known is not None
                else replace(
                    job,
                    name=f"{job.name}.{combination.index}",
                    array=job.name,
                    task=combination.index,
                    recipe=f"{FOLDER}/{task_recipe(combination.index)}",
                    settings=settings,
                    depends_on=before,
                )
            )
            works.setdefault(job.name, work)
            before = (task.name,)
    order = _order(combinations[0].project)
    ordered = sorted(tasks.values(), key=lambda task: order.index(task.array or ""))
    return tuple(ordered), {name: works[name] for name in order if name in works}


def _order(project: Project) -> list[str]:
    """Return the names of a recipe's jobs in their order."""
    phases = project.recipe.training_phases
    phase_jobs = [f"train-{p.name}" for p in phases] if len(phases) > 1 else ["train"]
    return ["prepare", *phase_jobs, "evaluate"]
