"""Resubmission of unfinished jobs of a chain from its snapshot, on the same or another site."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from finetune.cluster.chain.chain import Chain, ChainJob, Submission, names_by_id, write_chain
from finetune.cluster.chain.size import Size, sized
from finetune.cluster.chain.snapshot import FOLDER
from finetune.cluster.chain.typed import typed
from finetune.cluster.follow.notices import inputs_of
from finetune.cluster.follow.status import ChainReport, look
from finetune.cluster.job.batch_script import script_of
from finetune.cluster.slurm import commands as slurm
from finetune.cluster.submit.array import scripts_of
from finetune.cluster.submit.preflight import job_refused, site_problems
from finetune.cluster.submit.queue import (
    active_jobs,
    enqueue,
    refuse_forbidden_requeue,
    refuse_other_scheduler,
)
from finetune.cluster.submit.submit import DEBUG_RECIPE, work_of
from finetune.errors import ClusterError, RecipeError, StoreError, shortened
from finetune.messages import Place, Problem, problem
from finetune.output.paths import as_written, is_absent
from finetune.pipeline.disk_errors import disk_errors
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store
from finetune.spec.load import load_recipe
from finetune.spec.resolved import write_recipe
from finetune.spec.site import Site, load_site

_SHOWN_LINES = 3


def resubmit(
    chain: Chain,
    *,
    site_file: Path | None = None,
    overlay: Path | None = None,
    size: Size | None = None,
    accept_versions: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Submission]:
    """Submit every unfinished job; return the submissions in order.

    Artefact keys come from the snapshot, so training resumes from the last checkpoint. The scripts
    are written anew from a site and its overlay: those named here, else those of the submission
    with what was changed in them since. `size` replaces what `submit` asked for, field by field; a
    site named here has its own size. `accept_versions`: the recipes of the snapshot accept a
    checkpoint that other versions wrote. `tell` gets a line for each script that changes.

    Raises RecipeError while jobs of the chain are active, if a recipe of the snapshot no longer
    passes the gate (a consent ended), if an input is damaged, or is no longer in the store and no
    job builds it, or for an invalid site; ClusterError if Slurm refuses a job, and then no job is
    left in the queue; StoreError if the chain's folder cannot be written to.
    """
    refuse_other_scheduler(chain)
    report = look(chain)
    if report.scheduler_problem:
        raise ClusterError(report.scheduler_problem)
    todo = unfinished(report)
    _refuse_active(chain, todo)
    problems = [
        problem("damaged-artefact", "{why}", why=job.progress.damaged)
        for job in report.jobs
        if job.progress.damaged
    ]
    if site_file is not None:
        named = None if overlay is None else str(as_written(overlay))
        kept = None if chain.size is None or chain.size.pack is None else Size(pack=chain.size.pack)
        chain = replace(chain, site_file=str(as_written(site_file)), overlay=named, size=kept)
    if size is not None and size != Size():
        chain = replace(chain, size=size.over(chain.size))
    site = site_of(chain, tell=tell) if todo else None
    if site is None and size is not None and size.typed and todo:
        problems.append(
            problem(
                "size-without-site",
                "the scripts are written anew only from a site file; name it with --site",
                at=Place(key=size.typed[0]),
            )
        )
    problems += _refused(chain, todo) + _gone(chain, todo)
    if site is not None:
        problems += _debug_problems(todo, site)
        problems += site_problems([job.array or job.name for job in todo], site=site)
    if problems:
        raise RecipeError(*dict.fromkeys(problems))
    with disk_errors(Path(chain.store)):
        if site is not None:
            chain = move(chain, todo, site=site, tell=tell)
        if accept_versions:
            accept_other_versions(chain, todo)
        return enqueue(chain, todo)


def accept_other_versions(chain: Chain, jobs: Sequence[ChainJob]) -> None:
    """Set `run.accept_versions` in the snapshot's recipes of jobs; no key depends on it."""
    names = {job.recipe or chain.recipe for job in jobs}
    if any(job.name == "debug" for job in jobs):
        names.add(f"{FOLDER}/{DEBUG_RECIPE}")
    for name in sorted(names):
        path = chain.folder / name
        recipe = load_recipe(path)
        run = recipe.run.model_copy(update={"accept_versions": True})
        new = path.with_name(f"new-{path.name}")
        write_recipe(recipe.model_copy(update={"run": run}), new)
        new.replace(path)


def site_of(chain: Chain, *, tell: Callable[[str], None]) -> Site | None:
    """Return the site of a chain with its overlay, as they are now; None if they are not known.

    Raises RecipeError if they are invalid.
    """
    files = [Path(named) for named in (chain.site_file, chain.overlay) if named is not None]
    gone = [str(path) for path in files if is_absent(path)]
    if chain.site_file is None or gone:
        what = f"{gone[0]} is not there any more" if gone else "the chain names no site file"
        tell(f"{what}; its scripts stay as they are (--site FILE writes them anew)")
        return None
    return sized(load_site(files[0], overlay=files[1] if len(files) > 1 else None), chain.size)


def _debug_problems(todo: Sequence[ChainJob], site: Site) -> list[Problem]:
    if site.debug is not None or all(job.name != "debug" for job in todo):
        return []
    return [
        problem(
            "no-short-queue",
            "the site {site!r} has no short queue; add one under its key `debug`",
            at=Place(key="debug"),
            site=site.name,
        )
    ]


def _refuse_active(chain: Chain, todo: Sequence[ChainJob]) -> None:
    """Raise RecipeError if jobs are active, other than finished jobs that are just ending."""
    names = names_by_id(chain)
    done = {job.name for job in chain.jobs} - {job.name for job in todo}
    active = {
        i: s for i, s in active_jobs(chain).items() if not names.get(i) or set(names[i]) - done
    }
    if active:
        raise RecipeError(
            problem(
                "chain-is-active",
                "chain {chain} is still active: {jobs}; wait for it, or first: {command}",
                chain=chain.id,
                command=typed("cancel", chain),
                jobs=[
                    f"{', '.join(names.get(i, ('a job',)))} ({i}, {s.state.lower()})"
                    for i, s in active.items()
                ],
            )
        )


def unfinished(report: ChainReport) -> list[ChainJob]:
    """Return the unfinished jobs, in order."""
    done = {job.name for job in report.jobs if job.state == "done"}
    return [job for job in report.chain.jobs if job.name not in done]


def move(
    chain: Chain,
    jobs: Sequence[ChainJob],
    *,
    site: Site,
    tell: Callable[[str], None] = lambda _: None,
) -> Chain:
    """Write the scripts of jobs anew for a site; return the changed chain.

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
    for path, text in before.items():
        if changed_lines := _changed(text, path.read_text("utf-8")):
            tell(f"scripts/{path.name} is written anew from {chain.site_file}: {changed_lines}")
    return moved


def _changed(before: str, after: str) -> str:
    """Return which lines of a script changed, the first three of them.

    >>> _changed("#SBATCH --time=4\\nsrun x\\n", "#SBATCH --time=2\\nsrun x\\n")
    'now `#SBATCH --time=2`'
    """
    old, new = before.splitlines(), after.splitlines()
    added = [line.strip() for line in new if line not in old and line.strip()]
    removed = [line.strip() for line in old if line not in new and line.strip()]
    word, lines = ("now", added) if added else ("without", removed)
    more = f" and {len(lines) - _SHOWN_LINES:,} more" if len(lines) > _SHOWN_LINES else ""
    shown = ", ".join(f"`{shortened(line, most=120)}`" for line in lines[:_SHOWN_LINES])
    return f"{word} {shown}{more}" if lines else ""


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
    """Return the inputs that no job builds and that are damaged, or no longer in the store."""
    problems = []
    for needed, user in inputs_of(todo).items():
        recipe = chain.folder / (user.recipe or chain.recipe)
        stage, _, key = needed.partition("/")
        try:
            if Store(Path(chain.store)).find(stage, key) is not None:
                continue
        except StoreError as error:
            problems.append(
                problem("damaged-artefact", "{stage}: {damage}", stage=needed, damage=str(error))
            )
            continue
        verb = "fetch" if stage in ("base", "corpus", "benchmark") else stage
        problems.append(
            problem(
                "input-no-longer-there",
                "{artefact} is no longer in the store (scratch purged?), and {job} needs it; "
                "rebuild it with: {command}",
                artefact=needed,
                job=user.name,
                command=shlex.join(["finetune", verb, str(recipe), "--store", chain.store]),
            )
        )
    return problems
