"""A sweep becomes job arrays; shared stages run once, cached ones not at all."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.cluster.chain.chain import read_chain, read_submissions
from finetune.cluster.submit.array import plan_sweep
from finetune.cluster.submit.queue import enqueue, groups, waits_for
from finetune.cluster.submit.resubmit import move, resubmit
from finetune.cluster.submit.submit import plan_chain, write_files
from finetune.cluster.submit.sweep import checked, combine, parse_axis, seed_axis
from finetune.errors import ClusterError, RecipeError
from finetune.pipeline import plan
from finetune.pipeline.gate import open_project
from finetune.pipeline.store import Store
from finetune.spec.load import load_project
from finetune.spec.site import load_site
from tests.support.artefacts import finish_fetching, finished
from tests.support.fake_slurm import FakeSlurm, queued
from tests.support.project import write_project

RECIPE = Path("recipes/tiny.yaml")
SITE = """\
name: here
description: A cluster.
sbatch: ["#SBATCH --partition=batch"]
debug: {steps: 2}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    (folder / "site.yaml").write_text(SITE)
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


def made(artefact: str, store: str = ".finetune") -> None:
    finished(Path(store) / artefact)


def planned_sweep(*sweeps: str, limit: int | None = None):
    combinations = checked(
        RECIPE, overrides=[], settings=combine([parse_axis(sweep) for sweep in sweeps])
    )
    site, store = load_site(Path("site.yaml")), Store(Path(".finetune").resolve())
    project = open_project(RECIPE, purpose="submit")
    return plan_sweep(combinations, project=project, site=site, store=store, limit=limit)


def submitted(slurm: FakeSlurm) -> list[list[str]]:
    """Return the options of every submission."""
    return [list(c[2:-1]) for c in slurm.calls() if c[0] == "sbatch" and "--test-only" not in c]


def test_a_shared_corpus_is_prepared_once_and_training_runs_wait_for_it(here):
    """Two ranks and two seeds on one corpus: one task prepares, four train, four evaluate."""
    chain = planned_sweep("lora.rank=2,4", "train.seed=0,1", limit=3).chain
    names = [job.name for job in chain.jobs]
    assert names[:3] == ["prepare.0", "train.0", "train.1"]
    counted = Counter(job.array for job in chain.jobs)
    assert counted == {"prepare": 1, "train": 4, "evaluate": 4}
    assert chain.job("train.3").depends_on == ("prepare.0",)
    assert chain.job("evaluate.3").depends_on == ("train.3",)
    assert chain.job("train.3").settings == ("lora.rank=4", "train.seed=1")
    assert chain.job("prepare.0").settings == ()
    ids = {job.name: f"{7 if job.array == 'prepare' else 8}_{job.task}" for job in chain.jobs}
    _, training_jobs, evaluations = groups(chain.jobs)
    assert waits_for(training_jobs, ids, chain=chain) == (["7"], "afterany")
    assert waits_for(evaluations, ids, chain=chain) == (["8"], "aftercorr")


def test_members_of_a_sweep_measure_the_base_once(here):
    """Their evaluations share the artefact with the answers of the base, and have their own."""
    jobs = [job for job in planned_sweep("train.seed=0,1").chain.jobs if job.array == "evaluate"]
    made = [dict(artefact.split("/") for artefact in job.artefacts) for job in jobs]
    assert len({keys["baseline"] for keys in made}) == 1
    assert len({keys["evaluate"] for keys in made}) == 2


def test_a_corpus_for_each_combination_holds_up_no_other(here):
    """If every task has its own corpus, each training job waits for that one only."""
    chain = planned_sweep("prepare.seed=0,1").chain
    ids = {job.name: f"7_{job.task}" for job in chain.jobs}
    assert waits_for(groups(chain.jobs)[1], ids, chain=chain) == (["7"], "aftercorr")


def test_arrays_are_submitted_with_their_limit_and_each_task_has_its_id(here, fake_slurm):
    """Three submissions for nine tasks; a task is noted as ARRAY_INDEX."""
    options = ["--array-limit", "2", "--sweep", "lora.rank=2,4", "--seeds", "0,1", "--json"]
    assert main(["submit", str(RECIPE), "--site", "site.yaml", *options]) == 0
    assert submitted(fake_slurm) == [
        ["--array=0%2"],
        ["--array=0-3%2", "--dependency=afterany:1", "--kill-on-invalid-dep=yes"],
        ["--array=0-3%2", "--dependency=aftercorr:2", "--kill-on-invalid-dep=yes"],
    ]
    (folder,) = Path(".finetune/chains").iterdir()
    chain = read_chain(folder)
    assert [s.job_id for s in read_submissions(chain)][:3] == ["1_0", "2_0", "2_1"]


def test_each_task_has_its_own_recipe_with_the_keys_of_the_plan(here):
    """Task 3 of the snapshot is the fourth combination, wherever and whenever it is read."""
    planned = planned_sweep("lora.rank=2,4", "train.seed=0,1")
    write_files(planned, versions=False)
    chain = planned.chain
    copied = load_project(chain.recipe_of("train.3"))
    assert (copied.recipe.lora.rank, copied.recipe.train.seed) == (4, 1)
    keys = {f"{step.stage.name}/{step.key}" for step in plan.steps_of(copied)}
    assert {*chain.job("train.3").artefacts, *chain.job("evaluate.3").artefacts} <= keys


def test_the_script_of_an_array_is_sound_and_asks_for_its_own_task(here):
    """It names indices and limit, its own recipe and log, and never the id of the whole array."""
    script = planned_sweep("lora.rank=2,4", limit=1).scripts["train"]
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = script.splitlines()
    assert "#SBATCH --array=0-1%1" in lines
    assert "#SBATCH --output=logs/train-%A_%a.log" in lines
    assert "job=train.$SLURM_ARRAY_TASK_ID" in lines
    assert 'train "$recipe" --store' in script
    assert 'scontrol requeue "$id"' in script
    assert '"$SLURM_JOB_ID"' not in script


def test_what_a_combination_has_already_is_not_submitted_and_still_in_the_table(here):
    """Only tasks with something to do go to Slurm; all of them are followed and compared."""
    first = planned_sweep("lora.rank=2,4").chain
    for name in ("prepare.0", "train.0", "evaluate.0"):
        for artefact in first.job(name).artefacts:
            made(artefact)
    planned = planned_sweep("lora.rank=2,4")
    assert [job.name for job in planned.todo] == ["train.1", "evaluate.1"]
    assert len(planned.chain.jobs) == 5
    assert "#SBATCH --array=1\n" in planned.scripts["train"]


def test_a_site_that_forbids_requeueing_gets_no_array(here):
    """A stopped task could not go on; that is reported before anything is written."""
    Path("site.yaml").write_text(SITE + "requeue: forbidden\n")
    with pytest.raises(RecipeError) as refused:
        planned_sweep("lora.rank=2,4")
    assert refused.value.codes == ("requeue-forbidden",)


def test_problems_of_all_options_come_at_once_and_nothing_is_queued(here, fake_slurm, capsys):
    """Wrong languages, keys and seeds are reported together."""
    options = ["--languages", "hau_Latn", "--sweep", "lora.rnak=2", "--seeds", "0,x"]
    assert main(["submit", str(RECIPE), "--site", "site.yaml", *options]) == 2
    said = capsys.readouterr().err
    assert "--languages needs a recipe with one corpus" in said
    assert "Did you mean 'rank'?" in said
    assert "'x'" in said
    assert not fake_slurm.calls()


def test_a_refused_array_takes_back_those_before_it(here, fake_slurm):
    """Nothing of a sweep stays in the queue when Slurm refuses a part of it."""
    planned = planned_sweep("lora.rank=2,4")
    write_files(planned, versions=False)
    refusal = "sbatch: error: QOSMaxSubmitJobPerUserLimit"
    fake_slurm.refuses("sbatch", refusal, arguments="*evaluate.sh")
    with pytest.raises(ClusterError) as caught:
        enqueue(planned.chain, planned.todo)
    assert refusal in map(str, caught.value.problems[0].facts.values()), caught.value.problems
    assert queued(fake_slurm.queue) == {}


def test_seeds_are_those_of_every_phase(here):
    """A recipe of two phases has both seeded; the label reports it."""
    project = load_project(RECIPE)
    assert seed_axis(project, "0,1") == [("train.seed=0",), ("train.seed=1",)]
    recipe = project.recipe
    phases = [{"name": n, "corpora": recipe.corpora, "train": recipe.train} for n in ("a", "b")]
    two = recipe.model_validate(
        recipe.model_dump() | {"corpora": None, "train": None, "phases": phases}
    )
    assert seed_axis(replace(project, recipe=two), "3") == [
        ("phases.0.train.seed=3", "phases.1.train.seed=3")
    ]


@pytest.mark.parametrize("swept", [False, True])
def test_scripts_written_anew_for_the_same_site_are_the_same(here, fake_slurm, swept):
    """`resubmit --site` writes the same bytes as `submit`, also for a debug run."""
    project = open_project(RECIPE, purpose="submit")
    site, store = load_site(Path("site.yaml")), Store(Path(".finetune").resolve())
    planned = (
        planned_sweep("lora.rank=2,4", limit=1)
        if swept
        else plan_chain(project, site=site, store=store, debug=True)
    )
    write_files(planned, versions=True)
    scripts = {path: path.read_text() for path in (planned.chain.folder / "scripts").iterdir()}
    assert len(scripts) == (3 if swept else 5)
    assert move(planned.chain, planned.todo, site=site) == planned.chain
    assert {path: path.read_text() for path in scripts} == scripts


def test_another_site_is_what_the_jobs_are_submitted_with(here, fake_slurm):
    """Longer time and another partition are in the scripts; a refused one changes nothing."""
    project = open_project(RECIPE, purpose="submit")
    site, store = load_site(Path("site.yaml")), Store(Path(".finetune").resolve())
    planned = plan_chain(project, site=site, store=store, debug=False)
    write_files(planned, versions=True)
    Path("site.yaml").write_text(
        SITE.replace("=batch", "=long") + "train: {time_limit: 20:00:00}\n"
    )
    resubmit(planned.chain, site_file=Path("site.yaml"))
    script = (planned.chain.folder / "scripts/train.sh").read_text()
    assert "#SBATCH --partition=long" in script
    assert "#SBATCH --time=20:00:00" in script
    assert len(submitted(fake_slurm)) == 4


def test_what_none_makes_any_more_is_said_before_the_queue(here, fake_slurm):
    """A base that a purge took is named with the command that gets it back."""
    project = open_project(RECIPE, purpose="submit")
    site, store = load_site(Path("site.yaml")), Store(Path(".finetune").resolve())
    planned = plan_chain(project, site=site, store=store, debug=False)
    write_files(planned, versions=True)
    shutil.rmtree(".finetune/base")
    with pytest.raises(RecipeError) as refused:
        resubmit(planned.chain)
    (problem,) = refused.value.problems
    assert problem.code == "input-no-longer-there"
    assert problem.facts["job"] == "prepare"
    assert f"finetune fetch {planned.chain.recipe_path}" in problem.facts["command"]
    assert not submitted(fake_slurm)


@pytest.mark.parametrize("swept", [False, True])
def test_a_chain_whose_consent_ended_is_not_submitted_again(here, fake_slurm, swept):
    """The recipes of the snapshot pass the gate before anything is queued."""
    project = open_project(RECIPE, purpose="submit")
    site, store = load_site(Path("site.yaml")), Store(Path(".finetune").resolve())
    planned = (
        planned_sweep("lora.rank=2,4", limit=1)
        if swept
        else plan_chain(project, site=site, store=store, debug=False)
    )
    write_files(planned, versions=True)
    card = planned.chain.folder / "project/data_cards/lines.md"
    text = card.read_text().replace(
        "  format", "  consent: {basis: written, expires: 2020-01-31}\n  format"
    )
    card.write_text(text)
    with pytest.raises(RecipeError) as refused:
        resubmit(planned.chain)
    (problem,) = map(str, refused.value.problems)
    assert "data card 'lines': consent.expires: the consent ended on 2020-01-31" in problem
    assert not submitted(fake_slurm)
