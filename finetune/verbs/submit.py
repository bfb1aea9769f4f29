"""Verbs that make jobs: submit, and attempt, with which jobs look after themselves."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from finetune import outcome, outside, plan
from finetune.cluster import slurm
from finetune.cluster.attempt import (
    Ending,
    begin,
    continued,
    finish,
    own_job_id,
    own_restart,
    remove_notes,
)
from finetune.cluster.chain import Submission, read_chain
from finetune.cluster.submit import (
    Planned,
    plan_chain,
    problems,
    site_store,
    submit_chain,
)
from finetune.errors import RecipeError
from finetune.log import Console
from finetune.spec.load import load_project
from finetune.spec.site import Site, load_site
from finetune.store import Store
from finetune.verbs.inspect import check_files

DEFAULT_STORE = ".finetune"


def submit(options: Namespace, console: Console) -> int:
    """Turn a recipe into jobs and queue them; or show them."""
    if options.site is None:
        raise RecipeError("submit: which cluster? Name its file with --site slurm/sites/NAME.yaml")
    project = load_project(options.recipe, overrides=options.overrides)
    check_files(project)
    outside.verify_lock(project)
    site = load_site(options.site, overlay=options.overlay)
    store = _store(options, site)
    planned = plan_chain(project, site=site, store=store, debug=options.debug)
    if not planned.chain.jobs:
        steps = plan.steps_of(project)
        done = store.path_of("release", steps[-1].key)
        console.say(f"everything is done; the release is {done}", path=str(done), jobs=[])
        return 0
    found = problems(project, planned, site=site, store=store)
    if options.dry_run:
        _show(planned, console=console)
    if found:
        raise RecipeError(*found)
    if options.dry_run:
        console.say("nothing was written or submitted (--dry-run)")
        return 0
    submissions = submit_chain(planned, project, site=site)
    _report(planned, submissions, console=console)
    return 0


def attempt(options: Namespace, console: Console) -> int:
    """Keep the books of a job and decide what comes next; the first word printed is the answer."""
    chain, name = read_chain(options.chain), options.job
    job_id, restart = own_job_id(), own_restart()
    if options.event == "start":
        answer, _, reason = begin(chain, name, job_id=job_id, restart=restart).partition(" ")
        print(f"{answer} {reason}" if answer == "go" else answer, file=console.out)
        if answer != "go":
            print(f"{name}: {reason or 'done before'}", file=sys.stderr)
        return 0
    if options.event == "continued":
        for waiting, after in continued(chain, name, job_id=job_id, by=options.next):
            print(waiting, ":".join(after), file=console.out)
        return 0
    states = slurm.parse_jobs(options.slurm)
    ending = Ending(
        exit_code=options.exit_code,
        told=options.told,
        ranks=outcome.read(options.outcomes),
        number_of_ranks=options.ranks,
        state=states[0] if states else None,
    )
    answer, reason = finish(chain, name, ending, job_id=job_id, restart=restart)
    remove_notes(options.outcomes)
    print(answer, file=console.out)
    print(f"{name}: {reason}", file=sys.stderr)
    return 0


def _store(options: Namespace, site: Site) -> Store:
    named = options.store or site_store(site)
    root = named or Path(os.environ.get("FINETUNE_STORE", DEFAULT_STORE))
    return Store(root.resolve())


def _show(planned: Planned, *, console: Console) -> None:
    folder = planned.chain.folder
    for job in planned.chain.jobs:
        command = ["sbatch", "--parsable", *_after(job.depends_on), job.script]
        console.say(
            f"# {folder / job.script}\n# {' '.join(command)}\n{planned.scripts[job.name]}",
            job=job.name,
            script=planned.scripts[job.name],
            command=command,
            folder=str(folder),
        )


def _after(names: tuple[str, ...]) -> list[str]:
    """Return the options by which a job waits for others, whose ids are not known yet."""
    if not names:
        return []
    ids = ":".join(f"<id of {name}>" for name in names)
    return [f"--dependency=afterok:{ids}", "--kill-on-invalid-dep=yes"]


def _report(planned: Planned, submissions: list[Submission], *, console: Console) -> None:
    chain = planned.chain
    rows = [(s.name, s.job_id, ", ".join(chain.job(s.name).depends_on)) for s in submissions]
    console.table(f"{chain.id} on {chain.site}", ("job", "id", "waits for"), rows)
    store = "" if Path(chain.store) == Path(DEFAULT_STORE).resolve() else f" --store {chain.store}"
    if Path(os.environ.get("FINETUNE_STORE", "")).resolve() == Path(chain.store):
        store = ""
    console.say(f"scripts     {chain.folder / 'scripts'}", chain=chain.id, folder=str(chain.folder))
    console.say(f"follow it   finetune status{store}")
