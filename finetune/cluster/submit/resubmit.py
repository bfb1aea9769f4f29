"""Submit again what of a chain is not done, from its own snapshot, on the same or another site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from finetune.cluster.chain.chain import Chain, ChainJob, Submission, read_submissions, write_chain
from finetune.cluster.follow.status import ChainReport, look
from finetune.cluster.job.batch_script import script_of
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.submit.array import scripts_of
from finetune.cluster.submit.queue import active_jobs, enqueue
from finetune.cluster.submit.submit import site_problems, work_of
from finetune.errors import ClusterError, RecipeError
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store
from finetune.spec.site import Site


def resubmit(chain: Chain, *, site: Site | None = None) -> list[Submission]:
    """Submit every job that is not done; return the submissions in order.

    The keys of artefacts come from the snapshot, so a training goes on from its last checkpoint.
    With `site` the scripts are written anew for it.

    Raises RecipeError while jobs of the chain are active, when a recipe of the snapshot does not
    pass the gate any more (a consent ended), or when something is gone from the store that no job
    makes; ClusterError if Slurm refuses a job: nothing is left in the queue then.
    """
    report = look(chain)
    if report.scheduler_problem:
        raise ClusterError(report.scheduler_problem)
    todo = unfinished(report)
    _refuse_active(chain, todo)
    problems = [job.progress.damaged for job in report.jobs if job.progress.damaged]
    problems += _refused(chain, todo)
    problems += _gone(chain, todo)
    if site is not None and todo:
        problems += site_problems([job.array or job.name for job in chain.jobs], site=site)
    if problems:
        raise RecipeError(*dict.fromkeys(problems))
    if site is not None and todo:
        chain = move(chain, todo, site=site)
    return enqueue(chain, todo)


def _refuse_active(chain: Chain, todo: Sequence[ChainJob]) -> None:
    """Raise RecipeError if something waits or runs, other than what is done and just ending."""
    names = {s.job_id: s.name for s in read_submissions(chain)}
    done = {job.name for job in chain.jobs} - {job.name for job in todo}
    active = {i: s for i, s in active_jobs(chain).items() if names.get(i) not in done}
    if active:
        listed = ", ".join(
            f"{names.get(i, 'a job')} ({i}, {s.state.lower()})" for i, s in active.items()
        )
        raise RecipeError(
            f"chain {chain.id} is still active: {listed}; let it go on, or first: "
            f"finetune cancel {chain.id}"
        )


def unfinished(report: ChainReport) -> list[ChainJob]:
    """Return the jobs that have to run again, in order: what is not done."""
    done = {job.name for job in report.jobs if job.state == "done"}
    return [job for job in report.chain.jobs if job.name not in done]


def move(chain: Chain, jobs: Sequence[ChainJob], *, site: Site) -> Chain:
    """Write the scripts of jobs anew for a site; return the chain as it is then.

    Raises ClusterError if Slurm would refuse one; then everything is as it was.
    """
    arrays = [job for job in jobs if job.array is not None]
    if arrays and site.requeue == "forbidden":
        raise RecipeError(f"site {site.name}: it forbids requeueing, which job arrays need")
    moved = replace(
        chain,
        site=site.name,
        max_restarts=site.max_restarts,
        requeue=site.requeue,
        purge_days=site.purge_days,
    )
    works = {job.array or job.name: work_of(moved, job, site=site) for job in jobs}
    swept = {job.array: works[job.array] for job in arrays if job.array}
    scripts = scripts_of(moved, swept, site=site, todo=jobs) | {
        job.name: script_of(job, works[job.name], chain=moved, site=site)
        for job in jobs
        if job.array is None
    }
    before: dict[Path, str] = {}
    for name, text in scripts.items():
        path = chain.folder / "scripts" / f"{name}.sh"
        before[path] = path.read_text("utf-8")
        path.write_text(text, encoding="utf-8")
    for path in before:
        refused = slurm.refusal(path, folder=chain.folder)
        if refused is not None:
            for changed, text in before.items():
                changed.write_text(text, encoding="utf-8")
            raise ClusterError(f"{path.stem}: {refused}\nNothing was changed or submitted")
    write_chain(moved)
    return moved


def _refused(chain: Chain, todo: Sequence[ChainJob]) -> list[str]:
    """Say why the recipes that the jobs run may not be run now."""
    problems: list[str] = []
    for recipe in dict.fromkeys(job.recipe or chain.recipe for job in todo):
        try:
            open_project(chain.folder / recipe, purpose="submit")
        except RecipeError as error:
            problems += error.problems
    return problems


def _gone(chain: Chain, todo: Sequence[ChainJob]) -> list[str]:
    """Say what the jobs need that is no longer in the store and that none of them makes."""
    made = {artefact for job in todo for artefact in job.artefacts}
    wanted = dict.fromkeys(n for job in todo for n in job.inputs if n not in made)
    problems = []
    for needed in Store(Path(chain.store)).lacking(wanted):
        stage = needed.partition("/")[0]
        verb = "fetch" if stage in ("base", "corpus") else stage
        user = next(job for job in todo if needed in job.inputs)
        recipe = chain.folder / (user.recipe or chain.recipe)
        problems.append(
            f"{needed} is gone from the store (was old scratch purged?) and {user.name} needs it; "
            f"get it back with: finetune {verb} {recipe} --store {chain.store}"
        )
    return problems
