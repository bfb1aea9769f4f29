"""An evaluation that tasks of a job array share, and the release after it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.cluster.chain.chain import read_chain, read_submissions
from finetune.cluster.follow.results import results_of
from finetune.cluster.follow.status import look
from finetune.cluster.job.attempt import begin
from finetune.cluster.submit.resubmit import move, resubmit
from finetune.cluster.submit.submit import Planned, plan_chain, write_files
from finetune.errors import RecipeError
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store
from finetune.spec.site import load_site
from tests.support.artefacts import finish_fetching, finished
from tests.support.fake_slurm import FakeSlurm
from tests.support.project import write_project
from tests.support.results import train_result

RECIPE = Path("recipes/tiny.yaml")
SITE = """\
name: here
description: A cluster.
sbatch: ["#SBATCH --partition=batch"]
"""
TASKS = "evaluation_tasks: 3\n"
NAMES = ("evaluate.0", "evaluate.1", "evaluate.2")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    (folder / "site.yaml").write_text(SITE + TASKS)
    return folder


@pytest.fixture
def here(written, tmp_path, monkeypatch, variables, inside) -> Path:
    """A project in the working folder whose base is in the store."""
    folder = tmp_path / "project"
    shutil.copytree(written, folder)
    inside(folder)
    variables(XDG_CONFIG_HOME=str(tmp_path / "config"))
    monkeypatch.delenv("FINETUNE_STORE", raising=False)
    finish_fetching(RECIPE, Path(".finetune"))
    return folder


def planned() -> Planned:
    site, store = load_site(Path("site.yaml")), Store(Path(".finetune").resolve())
    project = open_project(RECIPE, purpose="submit")
    return plan_chain(project, site=site, store=store, debug=False)


def submitted(slurm: FakeSlurm) -> list[list[str]]:
    """Return the options of every submission."""
    return [list(c[2:-1]) for c in slurm.calls() if c[0] == "sbatch" and "--test-only" not in c]


def test_tasks_make_the_same_artefacts_and_the_release_waits_for_all(here):
    """Each task has the stages of the one job; nothing but the evaluation is an array."""
    jobs = {job.name: job for job in planned().chain.jobs}
    assert tuple(jobs) == ("prepare", "train", *NAMES, "release")
    assert {jobs[name].artefacts for name in NAMES} == {jobs["evaluate.0"].artefacts}
    assert {jobs[name].depends_on for name in NAMES} == {("train",)}
    assert jobs["release"].depends_on == NAMES
    assert [job.array for job in jobs.values()] == [None, None, *["evaluate"] * 3, None]


def test_the_array_starts_after_training_and_the_release_after_its_end(here, fake_slurm):
    """A task that failed holds up no release whose evaluation the others finished."""
    assert main(["submit", str(RECIPE), "--site", "site.yaml", "--json"]) == 0
    valid = "--kill-on-invalid-dep=yes"
    assert submitted(fake_slurm) == [
        [],
        ["--dependency=afterok:1", valid],
        ["--array=0-2", "--dependency=afterok:2", valid],
        ["--dependency=afterany:3", valid],
    ]
    (folder,) = Path(".finetune/chains").iterdir()
    ids = [s.job_id for s in read_submissions(read_chain(folder))]
    assert ids == ["1", "2", "3_0", "3_1", "3_2", "4"]


def test_every_task_runs_the_recipe_of_the_chain(here):
    """The script is sound, has log and name of its task, and requeues that task alone."""
    made = planned()
    script = made.scripts["evaluate"]
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "#SBATCH --array=0-2\n" in script
    assert "#SBATCH --output=logs/evaluate-%A_%a.log\n" in script
    assert "job=evaluate.$SLURM_ARRAY_TASK_ID\n" in script
    assert f"evaluate {made.chain.recipe_path} --store" in script
    assert "recipe=" not in script
    assert 'scontrol requeue "$id"' in script


def test_one_task_is_the_plain_job(here):
    """Without the key, and with 1, scripts are the same and have no array."""
    Path("site.yaml").write_text(SITE + "evaluation_tasks: 1\n")
    one = planned()
    Path("site.yaml").write_text(SITE)
    assert [job.name for job in one.chain.jobs] == ["prepare", "train", "evaluate", "release"]
    plain = planned().scripts["evaluate"].splitlines()
    differing = [
        a for a, b in zip(plain, one.scripts["evaluate"].splitlines(), strict=True) if a != b
    ]
    assert all(one.chain.id.rpartition("-")[0][:4] in line for line in differing)
    assert "--array" not in "\n".join(plain)


def test_a_site_that_forbids_requeueing_gets_no_tasks(here):
    """A stopped task could not go on; that is reported before anything is written."""
    Path("site.yaml").write_text(SITE + TASKS + "requeue: forbidden\n")
    with pytest.raises(RecipeError) as refused:
        planned()
    assert refused.value.codes == ("requeue-forbidden",)


def test_status_and_results_have_each_task_and_one_row_of_scores(here, fake_slurm):
    """All tasks are shown; they are done with the artefact, and the table has it once."""
    made = planned()
    write_files(made, versions=False)
    report = look(made.chain)
    assert [job.name for job in report.jobs] == [job.name for job in made.chain.jobs]
    assert len(results_of(report)) == 1


def test_a_task_that_starts_late_finds_the_work_done(here, fake_slurm):
    """Once the scores are in the store, a task that still waited ends at once, as done."""
    made = planned()
    write_files(made, versions=False)
    for artefact in made.chain.job("evaluate.2").artefacts:
        finished(Path(".finetune") / artefact)
    assert begin(made.chain, "evaluate.2", job_id="3_2", restart=0) == "done"
    states = {job.name: job.state for job in look(made.chain).jobs}
    assert [states[name] for name in NAMES] == ["done"] * 3


def test_unfinished_tasks_are_submitted_again_together(here, fake_slurm):
    """`resubmit` sends the array and what waits for it; its script is the same for the site."""
    made = planned()
    write_files(made, versions=True)
    results = {"prepare": {}, "train": train_result(best_step=1, steps=1, supervised_tokens=10)}
    for name, result in results.items():
        for artefact in made.chain.job(name).artefacts:
            finished(Path(".finetune") / artefact, result=result)
    script = made.chain.folder / "scripts/evaluate.sh"
    before = script.read_text()
    site = load_site(Path("site.yaml"))
    assert move(made.chain, made.todo, site=site) == made.chain
    assert script.read_text() == before
    names = [submission.name for submission in resubmit(made.chain)]
    assert names == [*NAMES, "release"]
    valid = "--kill-on-invalid-dep=yes"
    assert submitted(fake_slurm) == [["--array=0-2"], ["--dependency=afterany:1", valid]]
