"""Output of Slurm, recorded on a real cluster (22.05), is parsed correctly."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.cluster.chain import chain as chains
from finetune.cluster.slurm import commands as slurm

RECORDED = (Path(__file__).parent / "scontrol.txt").read_text("utf-8")


def test_waiting_tasks_that_share_a_line_differ():
    """`ArrayTaskId=1,3,5-7%2` is five tasks, each under its own id."""
    ids = [job.job_id for job in slurm.parse_jobs(RECORDED)]
    assert [i for i in ids if i.startswith("16_")] == ["16_1", "16_3", "16_5", "16_6", "16_7"]
    assert len(ids) == len(set(ids))


def test_a_job_name_with_a_space_does_not_shift_the_fields():
    """Job 3 is called `a b`; state, reason and exit code are still its own."""
    job = next(job for job in slurm.parse_jobs(RECORDED) if job.job_id == "3")
    assert (job.fields["JobName"], job.state, job.reason, job.exit_code) == (
        "a b",
        "FAILED",
        "NonZeroExitCode",
        "3:0",
    )
    assert not job.is_active


def test_a_task_is_asked_for_by_its_array(fake_slurm):
    """Asking for two tasks asks Slurm once, and returns those two alone."""
    fake_slurm.knows("2", RECORDED)
    found = slurm.jobs(["2_0", "2_3"])
    assert list(found) == ["2_0", "2_3"]
    assert fake_slurm.calls() == [("scontrol", "show", "job", "-o", "2")]


def test_a_cancelled_job_stays_cancelled_and_a_later_one_is_not(tmp_path):
    """A cancellation names the jobs there were, so that a submission after it may go on."""
    chain = chains.Chain(
        folder=tmp_path / "c",
        id="c",
        recipe="project/recipe.yaml",
        site="here",
        created=chains.now(),
        store=str(tmp_path),
        jobs=(),
        max_restarts=3,
    )
    chains.append_cancellation(chain, ["7", "8_2"])
    assert chains.is_cancelled(chain, "7")
    assert chains.is_cancelled(chain, "8_2")
    assert not chains.is_cancelled(chain, "9")


@pytest.mark.parametrize("task", [None, 3])
def test_a_chain_is_read_as_it_was_written(tmp_path, task):
    """A task of an array keeps its recipe, its settings and the keys that it makes."""
    job = chains.ChainJob(
        name="train" if task is None else f"train.{task}",
        stages=("train",),
        script="scripts/train.sh",
        log="logs/train-%j.log",
        artefacts=("train/0123456789abcdef",),
        array=None if task is None else "train",
        task=task,
        recipe=None if task is None else f"project/tasks/{task}.json",
        settings=() if task is None else ("lora.rank=8", "train.seed=1"),
    )
    chain = chains.Chain(
        folder=tmp_path / "c",
        id="c",
        recipe="project/recipe.yaml",
        site="here",
        created=chains.now(),
        store=str(tmp_path),
        jobs=(job,),
        max_restarts=3,
    )
    chains.write_chain(chain)
    again = chains.read_chain(tmp_path / "c")
    assert again == chain
    name = "recipe.yaml" if task is None else f"tasks/{task}.json"
    assert again.recipe_of(job.name) == tmp_path / "c" / "project" / name
