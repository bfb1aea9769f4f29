"""Ranks from the variables of launchers."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from finetune.errors import TrainError
from finetune.launch.ranks import LAUNCH, Ranks, launch_id, ranks_of, take_step

STEP = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_STEP_TASKS_PER_NODE": "2,1",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "0",
}
TORCHRUN = {
    "RANK": "0",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "0",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "a",
    "MASTER_PORT": "1",
}
BATCH = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_NODEID": "0"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Ranks()),
        (STEP, Ranks(1, 3, 1, 2, launched=True)),
        (
            STEP | {"SLURM_PROCID": "2", "SLURM_LOCALID": "0", "SLURM_NODEID": "1"},
            Ranks(2, 3, 0, 1, launched=True),
        ),
        (
            STEP | {"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_TASKS_PER_NODE": "4(x2)"},
            Ranks(1, 8, 1, 4, launched=True),
        ),
        (BATCH, Ranks()),
        (BATCH | {"SLURM_STEP_ID": "4294967290", "SLURM_STEP_NUM_TASKS": "1"}, Ranks()),
        (STEP | {"SLURM_STEP_NUM_TASKS": "1"}, Ranks()),
        (STEP | TORCHRUN, Ranks(0, 2, 0, 2, launched=True)),
        (STEP | {"OMPI_COMM_WORLD_SIZE": "3", "PMI_SIZE": "3"}, Ranks(1, 3, 1, 2, launched=True)),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, Ranks()),
    ],
    ids=[
        "one process",
        "a step",
        "a step's second node",
        "nodes with as many tasks",
        "a batch script without srun",
        "the interactive step of salloc",
        "a step of one task",
        "torchrun inside a step",
        "a step with PMI",
        "mpirun of one",
    ],
)
def test_tasks_of_a_step_are_ranks_and_nothing_else_is(environment, expected):
    """Only several tasks of a real step, and only where no launcher set RANK."""
    found = dict(environment)
    take_step(found)
    assert ranks_of(found) == expected


@pytest.mark.parametrize(("step", "is_step"), [("batch", False), ("0", True)])
def test_a_batch_script_submitted_inside_a_step_is_one_process(step, is_step):
    """It has that step's variables; the process that started it is asked."""
    script = ["/bin/bash", "-c", "sleep 60 & echo $!; wait", f"slurmstepd: [7.{step}]"]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        task = parent.stdout.readline().strip()
        found = STEP | {"SLURM_TASK_PID": task}
        take_step(found)
        os.kill(int(task), signal.SIGTERM)
    assert ("RANK" in found) is is_step


@pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
def test_processes_of_mpirun_are_refused_instead_of_training_each_alone(name):
    """They would wait for each other's lease with their GPUs."""
    with pytest.raises(TrainError) as refused:
        take_step({name: "4"})
    assert refused.value.codes == ("ranks-of-mpirun",)
    assert name in str(refused.value)


def test_a_launch_has_one_name_in_all_its_ranks_and_no_other_launch_has_it():
    """Also after Accelerate has set MASTER_ADDR; a requeued job and a second srun are others."""
    names = []
    for change in (
        {},
        {"SLURM_PROCID": "2", "SLURM_LOCALID": "0", "SLURM_NODEID": "1"},
        {"SLURM_RESTART_COUNT": "1"},
        {"SLURM_STEP_ID": "1"},
        {"SLURM_JOB_ID": "8"},
    ):
        found = STEP | change
        take_step(found)
        names.append(launch_id(found))
        assert launch_id(found | {"MASTER_ADDR": "x", "MASTER_PORT": "1"}) == found[LAUNCH]
    assert names[0] == names[1]
    assert len(set(names)) == 4
