"""Ways to submit a recipe: another size, a part of the chain, beside another chain."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.cluster.chain.chain import chains_of, find_chain
from finetune.cluster.chain.size import Size
from finetune.pipeline import plan
from finetune.spec.load import load_project
from tests.support.artefacts import finished
from tests.support.fake_slurm import FakeSlurm, queued
from tests.support.project import write_project

RECIPE = "recipes/tiny.yaml"
SITE = """\
name: here
description: A cluster.
train: {sbatch: ["#SBATCH --gres=gpu:4"], ranks_per_node: 4}
gpus_per_node: 4
debug: {steps: 2}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    (folder / "site.yaml").write_text(SITE)
    return folder


@pytest.fixture
def slurm(written, tmp_path, monkeypatch, variables, inside) -> FakeSlurm:
    """A project in the working folder, and Slurm's commands with a queue where nothing runs."""
    folder = tmp_path / "project"
    shutil.copytree(written, folder)
    inside(folder)
    fake = FakeSlurm(tmp_path / "slurm")
    variables(XDG_CONFIG_HOME=str(tmp_path / "config"), **fake.environment())
    monkeypatch.delenv("FINETUNE_STORE", raising=False)
    for step in plan.steps_of(load_project(Path(RECIPE))):
        if step.stage.needs_network:
            finished(Path(".finetune") / step.stage.name / step.key)
    return fake


def submit(*options: str) -> int:
    return main(["submit", RECIPE, "--site", "site.yaml", *options])


def scripts(capsys, *options: str) -> dict[str, str]:
    """Return the scripts of a dry run, by job."""
    assert submit("--dry-run", "--json", *options) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["job"]: line["script"] for line in lines if "script" in line}


def test_size_and_time_are_in_the_script_and_in_the_chain(slurm):
    """One GPU of a node for two hours; the chain remembers what was asked for."""
    assert submit("--gpus", "1", "--time", "2:00:00") == 0
    chain = find_chain(Path(".finetune").resolve())
    train = (chain.folder / "scripts/train.sh").read_text()
    assert "#SBATCH --gres=gpu:1" in train
    assert "#SBATCH --ntasks-per-node=1" in train
    assert "#SBATCH --time=2:00:00" in train
    assert chain.size == Size(gpus=1, time_limit="2:00:00")


def test_a_time_that_is_none_is_refused(slurm, capsys):
    """`--time 12h` is no time limit of Slurm: said before anything is read."""
    with pytest.raises(SystemExit):
        submit("--time", "12h")
    assert "'12h' is no time limit" in capsys.readouterr().err


@pytest.mark.parametrize("last", ["prepare", "train", "evaluate"])
def test_a_chain_ends_with_the_job_that_was_named(slurm, capsys, last):
    """--until: what comes after is not queued, in a chain and in a sweep."""
    names = ["prepare", "train", "evaluate"]
    expected = names[: names.index(last) + 1]
    assert list(scripts(capsys, "--until", last)) == expected
    assert list(scripts(capsys, "--until", last, "--sweep", "lora.rank=2,4")) == expected


def test_what_another_chain_makes_is_not_queued_again(slurm, capsys):
    """The second chain names the first, its job and what to do; --anyway queues it."""
    assert submit("--until", "train") == 0
    first = find_chain(Path(".finetune").resolve())
    capsys.readouterr()
    assert submit() == 2
    said = capsys.readouterr().err
    assert first.id in said
    assert "prepare/" in said
    assert "--anyway" in said
    assert len(queued(slurm.queue)) == 2
    assert submit("--anyway") == 0
    assert len(queued(slurm.queue)) == 6


def test_a_chain_that_is_over_or_makes_something_else_is_no_obstacle(slurm, capsys):
    """Another preparation is another artefact, and a cancelled chain makes nothing."""
    assert submit("--until", "prepare") == 0
    first = find_chain(Path(".finetune").resolve())
    assert submit("--set", "prepare.seed=7") == 0
    assert main(["cancel", first.id]) == 0
    capsys.readouterr()
    assert submit() == 0, capsys.readouterr().err


def test_a_sweep_without_evaluation_is_compared_on_validation(slurm, capsys):
    """`report --sweep` has a row for each training run of a sweep that ends with them."""
    assert submit("--until", "train", "--sweep", "lora.rank=2,4") == 0
    capsys.readouterr()
    assert main(["report", "--sweep", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["combination"] for row in rows] == ["lora.rank=2", "lora.rank=4"]


def test_one_job_has_every_stage_on_the_nodes_of_training(slurm, capsys):
    """Its artefacts are those of all jobs of a chain, and its command makes the last of them."""
    several = scripts(capsys)
    script = scripts(capsys, "--one-job")["run"]
    assert "#SBATCH --ntasks-per-node=4" in script
    assert "#SBATCH --gres=gpu:4" in script
    assert '"${finetune[@]}" release ' in script
    assert submit("--one-job") == 0
    one = find_chain(Path(".finetune").resolve())
    assert [job.name for job in one.jobs] == ["run"]
    assert submit("--anyway") == 0
    chain = find_chain(Path(".finetune").resolve())
    assert chains_of(Path(".finetune").resolve()) == [one, chain]
    assert {job.name for job in chain.jobs} == set(several)
    assert list(one.jobs[0].artefacts) == [a for job in chain.jobs for a in job.artefacts]
    assert len(queued(slurm.queue)) == 1 + len(several)


@pytest.mark.parametrize("requeue", ["allowed", "forbidden"])
def test_one_job_that_continues_from_inside_says_what_that_needs(slurm, capsys, requeue):
    """Before anything is queued, and only where the job cannot requeue itself."""
    Path("site.yaml").write_text(f"{SITE}requeue: {requeue}\n")
    assert submit("--one-job", "--dry-run") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert ("MaxSubmit 1" in said) == (requeue == "forbidden")
    assert not queued(slurm.queue)


def test_one_job_is_written_anew_for_another_site(slurm, capsys):
    """`resubmit --site` changes its size; the command stays."""
    assert submit("--one-job", "--until", "train") == 0
    assert main(["cancel"]) == 0
    Path("other.yaml").write_text(SITE.replace("gpu:4", "gpu:2").replace("node: 4", "node: 2"))
    assert main(["resubmit", "--site", "other.yaml"]) == 0, capsys.readouterr().err
    script = (find_chain(Path(".finetune").resolve()).folder / "scripts/run.sh").read_text()
    assert "#SBATCH --ntasks-per-node=2" in script
    assert '"${finetune[@]}" train ' in script


@pytest.mark.parametrize("option", ["--debug", "--seeds=0,1", "--sweep=lora.rank=2,4"])
@pytest.mark.parametrize("way", ["--one-job", "--scheduler=none"])
def test_what_needs_several_jobs_is_refused_with_one(slurm, capsys, way, option):
    """A debug run and arrays are jobs of their own."""
    assert submit(way, option) == 2
    assert f"{option.partition('=')[0]}: needs several jobs" in capsys.readouterr().err


def test_without_slurm_a_script_is_written_and_nothing_submitted(slurm, capsys):
    """No site is needed; the verbs that ask Slurm say what to do instead, status has the files."""
    Path("header").write_text("#PBS -l select=1:ngpus=2\n")
    arguments = ["submit", RECIPE, "--scheduler", "none", "--header", "header", "--gpus", "2"]
    assert main(arguments) == 0, capsys.readouterr().err
    chain = find_chain(Path(".finetune").resolve())
    script = chain.folder / "scripts/run.sh"
    said = capsys.readouterr().out
    assert str(script) in said
    [follow] = re.findall(r"finetune (status .*)", said)
    text = script.read_text()
    assert text.startswith("#!/bin/bash\n#PBS -l select=1:ngpus=2\n")
    assert "WORLD_SIZE=2" in text
    assert "FINETUNE_GPUS=2" in text
    assert not slurm.calls()
    assert main(shlex.split(follow)) == 0
    assert f"another start of {script}" in capsys.readouterr().out
    for verb in ("cancel", "resubmit"):
        assert main([verb]) == 2
        assert f"start it once more: {script}" in capsys.readouterr().err
    assert not slurm.calls()


def test_a_site_without_slurm_names_its_header(slurm, capsys):
    """`scheduler: none` in the site file: no further option, and a placeholder is asked for."""
    text = "name: pbs\ndescription: x\nscheduler: none\nheader: ['#PBS -P <project>']\n"
    Path("pbs.yaml").write_text(text)
    assert main(["submit", RECIPE, "--site", "pbs.yaml"]) == 2
    assert "no value for <project>" in capsys.readouterr().err
    Path("pbs.yaml").write_text(text.replace("<project>", "abc") + "train: {nodes: 2}\n")
    assert main(["submit", RECIPE, "--site", "pbs.yaml"]) == 2
    assert "runs on one node" in capsys.readouterr().err
    Path("pbs.yaml").write_text(text.replace("<project>", "abc"))
    assert main(["submit", RECIPE, "--site", "pbs.yaml"]) == 0
    assert submit("--header", "header") == 2
    assert "--scheduler none" in capsys.readouterr().err
