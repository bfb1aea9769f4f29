"""Every stage of a recipe in one job: for queues that take few jobs, and for other schedulers.

The job has the nodes of a training run. Stages that are no training run on its first rank, while
the others wait for their artefacts.
"""

from __future__ import annotations

from finetune.cluster.chain.chain import ChainJob, chains_folder, new_chain_id
from finetune.cluster.chain.snapshot import FOLDER, RECIPE
from finetune.cluster.job.batch_script import Work, script_of
from finetune.cluster.job.plain_script import plain_script_of
from finetune.cluster.submit.submit import (
    Planned,
    Until,
    chain_of,
    command_of,
    is_in_chain,
    jobs_of,
    verb_of,
)
from finetune.errors import RecipeError
from finetune.messages import problem
from finetune.pipeline.gate import Opened
from finetune.pipeline.store import Store
from finetune.spec.site import Site

ONE_JOB = "run"
"""Its name."""


def plan_one_job(project: Opened, *, site: Site, store: Store, until: Until = "release") -> Planned:
    """Return the one job for the stages up to `until` that are not in the store; writes nothing.

    Raises RecipeError for several nodes without Slurm, which would have to start the ranks.
    """
    if site.scheduler == "none" and site.train.nodes > 1:
        raise RecipeError(
            problem(
                "several-nodes-without-slurm",
                "site {site}: a script without Slurm runs on one node, and train.nodes is {nodes}; "
                "write nodes: 1, and GPUs as train.ranks_per_node or with --gpus",
                site=site.name,
                nodes=site.train.nodes,
            )
        )
    folder = chains_folder(store.root) / new_chain_id(project.recipe.name)
    parts = [
        job
        for job, work in jobs_of(project, store=store, folder=folder, command=command_of(site))
        if store.lacking(job.artefacts) and is_in_chain(work.kind, until=until)
    ]
    jobs = (_joined(parts),) if parts else ()
    chain = chain_of(jobs, folder=folder, site=site, store=store)
    scripts = {}
    for job in jobs:
        recipe = str(folder / FOLDER / RECIPE)
        arguments = (verb_of(job), recipe, "--store", str(store.root))
        written = plain_script_of if site.scheduler == "none" else script_of
        work = Work("run", arguments, command_of(site))
        scripts[ONE_JOB] = written(job, work, chain=chain, site=site)
    return Planned(project=project, chain=chain, scripts=scripts, debug_steps=None, todo=jobs)


def _joined(parts: list[ChainJob]) -> ChainJob:
    """Return one job for what several jobs make."""
    made = tuple(one for job in parts for one in job.artefacts)
    needed = dict.fromkeys(one for job in parts for one in job.inputs if one not in made)
    steps = [job.total_steps for job in parts if job.total_steps is not None]
    return ChainJob(
        name=ONE_JOB,
        stages=tuple(stage for job in parts for stage in job.stages),
        script=f"scripts/{ONE_JOB}.sh",
        log=f"logs/{ONE_JOB}-%j.log",
        total_steps=steps[0] if len(steps) == 1 else None,
        artefacts=made,
        inputs=tuple(needed),
    )
