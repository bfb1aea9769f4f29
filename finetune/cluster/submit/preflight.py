"""Reasons why the jobs of a chain would fail, collected before their submission."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import metadata
from typing import TYPE_CHECKING

from finetune.cluster.job.batch_script import Kind, request_of, time_limit_seconds
from finetune.errors import StoreError
from finetune.messages import Problem, problem
from finetune.pipeline import plan
from finetune.pipeline.store import Store
from finetune.spec.load import Project
from finetune.spec.site import Site
from finetune.spec.tables.extras import pip_line

if TYPE_CHECKING:
    from packaging.requirements import Requirement

DISTRIBUTION = "finetune-lowres"
NOT_FETCHED = "not-fetched"
"""Code of the problem that `finetune fetch` solves."""
EARLY_SECONDS = 60
"""Maximum time by which Slurm's warning signal is early."""


def problems(
    project: Project,
    jobs: Iterable[str],
    *,
    site: Site,
    store: Store,
    fetching: Project | None = None,
) -> list[Problem]:
    """Return every reason why the jobs would fail, before anything is submitted.

    `jobs`: names of jobs or job arrays. `fetching`: the recipe of the proposed `finetune fetch`,
    if it is not `project`.
    """
    reasons = []
    fetched = [step for step in plan.steps_of(project) if step.stage.needs_network]
    absent = [s.label for s in fetched if store.state(s.stage.name, s.key) != "cached"]
    if absent:
        reasons.append(
            problem(
                NOT_FETCHED,
                "not in the store {store}: {stages}. Compute nodes have no network; on the login "
                "node: {command}",
                store=store.root,
                stages=absent,
                command=(fetching or project).typed("fetch", "--store", str(store.root)),
            )
        )
    return reasons + damaged(project, store) + site_problems(jobs, site=site)


def site_problems(names_of_jobs: Iterable[str], *, site: Site) -> list[Problem]:
    """Return the reasons why jobs (or job arrays) of these names would fail on a site."""
    reasons = []
    if site.placeholders:
        reasons.append(
            problem(
                "placeholders-without-value",
                "site {site}: no value for {placeholders}; write `values: {{NAME: value}}` into an "
                "overlay (--overlay FILE)",
                site=site.name,
                placeholders=[f"<{name}>" for name in site.placeholders],
            )
        )
    if site.command is None:
        reasons += missing_packages()
    for name in dict.fromkeys(names_of_jobs):
        request = request_of(kind_of(name), site)
        needed = site.grace_seconds + EARLY_SECONDS
        if time_limit_seconds(request.time_limit) <= needed:
            reasons.append(
                problem(
                    "short-time-limit",
                    "site {site}: the time limit {limit} of {job} must be above {seconds} s: "
                    "grace_seconds plus {early} s by which Slurm's warning may be early",
                    site=site.name,
                    limit=request.time_limit,
                    job=name,
                    seconds=needed,
                    early=EARLY_SECONDS,
                )
            )
    return reasons


def damaged(project: Project, store: Store) -> list[Problem]:
    """Return the damaged artefacts of a recipe, each with what to do."""
    reasons = []
    for step in plan.steps_of(project):
        try:
            store.find(step.stage.name, step.key)
        except StoreError as error:
            reasons.append(
                problem(
                    "damaged-artefact", "{stage}: {damage}", stage=step.label, damage=str(error)
                )
            )
    return reasons


def missing_packages(
    distribution: str = DISTRIBUTION,
    *,
    requires: Callable[[str], list[str] | None] = metadata.requires,
) -> list[Problem]:
    """Return the packages of a training run that are missing here or too old."""
    try:
        required = _required(distribution, requires(distribution) or [])
    except metadata.PackageNotFoundError:
        return []  # run from its source, in an environment made by hand
    reasons, absent = [], []
    for requirement in required:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            absent.append(requirement.name)
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            reasons.append(
                problem(
                    "old-package",
                    "package {name} is {version}; needed: {requirement}",
                    name=requirement.name,
                    version=version,
                    requirement=str(requirement),
                )
            )
    if absent:
        reasons.append(
            problem(
                "missing-packages",
                "not installed for {python}: {packages}; {command}",
                python=sys.executable,
                packages=absent,
                command=pip_line("train"),
            )
        )
    return reasons


def _required(distribution: str, lines: Iterable[str]) -> list[Requirement]:
    """Return what a training run requires: the base, and `train` with the extras that it names."""
    from packaging.requirements import Requirement

    declared = [Requirement(line) for line in lines]
    extras, required = ["", "train"], []
    for extra in extras:  # grows while it is walked
        for one in declared:
            applies = one.marker is None or one.marker.evaluate({"extra": extra})
            if applies and one.name == distribution:
                extras += sorted(one.extras - set(extras))
            elif applies and one not in required:
                required.append(one)
    return required


def job_refused(job: str, *, output: str) -> Problem:
    """Return the problem of a job that `sbatch --test-only` refuses."""
    return problem(
        "job-refused",
        "Slurm refuses the job {job}: {output}; nothing was submitted",
        job=job,
        output=output,
    )


def kind_of(name: str) -> Kind:
    """Return the kind of a job or job array by its name."""
    return name.partition("-")[0]  # type: ignore[return-value]
