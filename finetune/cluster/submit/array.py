"""A sweep as job arrays: one task a combination, each with its own resolved recipe.

What several combinations share (a prepared corpus, an earlier phase) is one task, so that nobody
waits on a GPU for somebody else's work. Nothing is released: the table of results says which
combination is worth it, and `finetune submit RECIPE --set ...` releases it from what is there.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from finetune.cluster.chain.chain import Chain, ChainJob, chains_folder, new_chain_id
from finetune.cluster.chain.snapshot import FOLDER
from finetune.cluster.job.batch_script import Work, script_of
from finetune.cluster.submit.queue import indices_of
from finetune.cluster.submit.submit import Planned, chain_of, command_of, jobs_of, problems
from finetune.cluster.submit.sweep import Combination
from finetune.errors import RecipeError
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
) -> Planned:
    """Return the job arrays that prepare, train and evaluate every combination; writes nothing.

    `project`: the recipe that the combinations change. Raises RecipeError where the site forbids
    requeueing: a stopped task could not go on.
    """
    if site.requeue == "forbidden":
        raise RecipeError(
            f"site {site.name}: it forbids requeueing, and a task of a job array cannot be "
            "continued by a new job; submit each combination by itself with --set"
        )
    folder = chains_folder(store.root) / new_chain_id(combinations[0].project.recipe.name)
    jobs, works = _tasks(combinations, store=store, folder=folder, site=site)
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


def scripts_of(
    chain: Chain, works: Mapping[str, Work], *, site: Site, todo: Sequence[ChainJob]
) -> dict[str, str]:
    """Return the batch script of each job array; it names the tasks that are to do."""
    scripts = {}
    for name, work in works.items():
        tasks = [job for job in chain.jobs if job.array == name]
        indices = indices_of(chain, [job for job in tasks if job in todo] or tasks)
        scripts[name] = script_of(tasks[0], work, chain=chain, site=site, array=indices)
    return scripts


def sweep_problems(
    combinations: Sequence[Combination], planned: Planned, *, site: Site, store: Store
) -> list[str]:
    """Return everything that would make a task fail, each once."""
    lacking: dict[tuple[str, ...], list[Combination]] = {}
    for combination in combinations:
        fetched = [step for step in combination.steps if step.stage.needs_network]
        absent = [s.key for s in fetched if store.state(s.stage.name, s.key) != "done"]
        lacking.setdefault(tuple(absent), []).append(combination)
    found: list[str] = []
    for group in lacking.values():
        first = group[0]
        common = [s for s in first.settings if all(s in other.settings for other in group)]
        fetch = f"finetune fetch {first.project.path}"
        precisely = shlex.join(word for setting in common for word in ("--set", setting))
        for problem in problems(first.project, planned, site=site, store=store):
            found.append(problem.replace(fetch, f"{fetch} {precisely}".rstrip()))
    return list(dict.fromkeys(found))


def task_recipe(index: int) -> str:
    """Return the name of the recipe of a task in the snapshot."""
    return f"task-{index}.json"


def _tasks(
    combinations: Sequence[Combination], *, store: Store, folder: Path, site: Site
) -> tuple[tuple[ChainJob, ...], dict[str, Work]]:
    """Return the tasks, those of one array together, and what each array runs."""
    tasks: dict[tuple[str, ...], ChainJob] = {}  # by what they make
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
    """Return the names of a recipe's jobs in the order in which they run."""
    phases = project.recipe.stages_of_training
    trainings = [f"train-{p.name}" for p in phases] if len(phases) > 1 else ["train"]
    return ["prepare", *trainings, "evaluate"]
