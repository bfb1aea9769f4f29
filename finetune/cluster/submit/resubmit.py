"""Resubmission of unfinished jobs of a chain from its snapshot, on the same or another site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from finetune.cluster.chain.chain import Chain, ChainJob, Submission, read_submissions, write_chain
from finetune.cluster.follow.status import ChainReport, look
from finetune.cluster.job.batch_script import script_of
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.submit.array import scripts_of
from finetune.cluster.submit.preflight import job_refused, site_problems
from finetune.cluster.submit.queue import active_jobs, enqueue, refuse_forbidden_requeue
from finetune.cluster.submit.submit import work_of
from finetune.errors import ClusterError, RecipeError
from finetune.messages import Problem, problem
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store
from finetune.spec.site import Site


def resubmit(chain: Chain, *, site: Site | None = None) -> list[Submission]:
    """Submit every unfinished job; return the submissions in order.

    Artefact keys come from the snapshot, so training resumes from the last checkpoint. With `site`
    the scripts are rewritten for it.

    Raises RecipeError while jobs of the chain are active, if a recipe of the snapshot no longer
    passes the gate (a consent ended), or if an input is no longer in the store and no job builds
    it; ClusterError if Slurm refuses a job, and then no job is left in the queue.
    """
    report = look(chain)
    if report.scheduler_problem:
        raise ClusterError(report.scheduler_problem)
    todo = unfinished(report)
    _refuse_active(chain, todo)
    problems: list[Problem] = []
    problems += [
        problem("damaged-artefact", "{why}", why=job.progress.damaged)
        for job in report.jobs
        if job.progress.damaged
    ]
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
    """Raise RecipeError if jobs are active, other than finished jobs that are just ending."""
    names = {s.job_id: s.name for s in read_submissions(chain)}
    done = {job.name for job in chain.jobs} - {job.name for job in todo}
    active = {i: s for i, s in active_jobs(chain).items() if names.get(i) not in done}
    if active:
        raise RecipeError(
            problem(
                "chain-is-active",
                "chain {chain} is still active: {jobs}; wait for it, or first: "
                "finetune cancel {chain}",
                chain=chain.id,
                jobs=[
                    f"{names.get(i, 'a job')} ({i}, {s.state.lower()})" for i, s in active.items()
                ],
            )
        )


def unfinished(report: ChainReport) -> list[ChainJob]:
    """Return the unfinished jobs, in order."""
    done = {job.name for job in report.jobs if job.state == "done"}
    return [job for job in report.chain.jobs if job.name not in done]


def move(chain: Chain, jobs: Sequence[ChainJob], *, site: Site) -> Chain:
    """Rewrite the scripts of jobs for a site; return the changed chain.

    Raises ClusterError if Slurm would refuse a job, and then changes nothing.
    """
    arrays = [job for job in jobs if job.array is not None]
    if arrays:
        refuse_forbidden_requeue(site)
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
            raise ClusterError(job_refused(path.stem, output=refused))
    write_chain(moved)
    return moved


def _refused(chain: Chain, todo: Sequence[ChainJob]) -> list[Problem]:
    """Return why the recipes of the jobs no longer pass the gate."""
    problems: list[Problem] = []
    for recipe in dict.fromkeys(job.recipe or chain.recipe for job in todo):
        try:
            open_project(chain.folder / recipe, purpose="submit")
        except RecipeError as error:
            problems += error.problems
    return problems


def _gone(chain: Chain, todo: Sequence[ChainJob]) -> list[Problem]:
    """Return the inputs that are no longer in the store and that no job builds."""
    made = {artefact for job in todo for artefact in job.artefacts}
    inputs = dict.fromkeys(n for job in todo for n in job.inputs if n not in made)
    problems = []
    for needed in Store(Path(chain.store)).lacking(inputs):
        stage = needed.partition("/")[0]
        verb = "fetch" if stage in ("base", "corpus", "benchmark") else stage
        user = next(job for job in todo if needed in job.inputs)
        recipe = chain.folder / (user.recipe or chain.recipe)
        problems.append(
            problem(
                "input-no-longer-there",
                "{artefact} is no longer in the store (scratch purged?), and {job} needs it; "
                "rebuild it with: {command}",
                artefact=needed,
                job=user.name,
                command=f"finetune {verb} {recipe} --store {chain.store}",
            )
        )
    return problems
