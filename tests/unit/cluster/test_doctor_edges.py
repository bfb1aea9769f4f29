"""The doctor runs a job's own script, and names each property of a site that jobs have to hold."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from finetune.cluster.chain.chain import AttemptEvent
from finetune.cluster.chain.notes import Notes, parse_notes
from finetune.cluster.doctor import edges
from finetune.cluster.doctor.probe import Machine, Shared
from finetune.cluster.doctor.probe_job import (
    Answer,
    Visit,
    probe_chain,
    probe_script,
    run_probe_job,
)
from finetune.cluster.job.batch_script import Work, script_of
from finetune.cluster.slurm.commands import Submitted, parse_jobs
from finetune.spec.load import validate
from finetune.spec.site import Site
from finetune.spec.yaml_file import Document
from tests.support.fake_slurm import queued

DONE = (
    AttemptEvent(event="start", time="", job_id="7", restart=0),
    AttemptEvent(event="end", time="", job_id="7", restart=0, outcome="done"),
)


def machine(host: str = "node1", **changes: object) -> Machine:
    facts = {"host": host, "python": "3.12", "packages": {}, "store": Shared(), "cpus": 8}
    return Machine.model_validate(facts | {"mode": 0o040755, "group": "lang"} | changes)


def found(answer: Answer, *machines: Machine) -> dict[str, tuple[str, str]]:
    every = edges.edges(answer, machines or [machine()], ranks_per_node=1)
    return {finding.check: (finding.state, finding.found) for finding in every}


def test_the_script_is_that_of_a_training_job():
    """Only the command, the number of nodes, the time and names differ."""
    values = {
        "name": "here",
        "description": "d",
        "sbatch": ["#SBATCH --export=NONE", "#SBATCH -C h100"],
        "setup": ["module load x"],
        "environment": {"TEXT": "a 'b'"},
        "launcher": ["apptainer", "exec", "i.sif"],
        "srun": ["--mpi=none"],
        "train": {"nodes": 2, "ranks_per_node": 4, "sbatch": ["#SBATCH --qos=long"]},
        "debug": {"sbatch": ["#SBATCH --qos=short"]},
    }
    site = validate(Site, values, Document(values=values, places={}, source="here.yaml"))
    visit = Visit(site, ("finetune",), 3, 10.0)
    chain = probe_chain(visit, store=Path("/store"), token="t")
    ours = probe_script(visit, chain, store=Path("/store"))
    work = Work("debug", ("doctor", "--store", "/store", "--as-rank", "t"), ("finetune",))
    theirs = script_of(chain.job("doctor"), work, chain=chain, site=site)
    changed = difflib.unified_diff(theirs.splitlines(), ours.splitlines(), n=0, lineterm="")
    kept = [line[1:] for line in changed if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    words = ("--nodes=", "--time=", "ranks: the same", "WORLD_SIZE=", "ask end --ranks")
    assert [line for line in kept if not any(word in line for word in words)] == []
    assert "--qos=short" in ours
    assert "#SBATCH --nodes=3" in ours


def test_a_probe_job_without_an_id_does_not_stay(fake_slurm, tmp_path):
    """sbatch answers with no id, or Slurm refuses: the error is kept, the queue is empty."""
    visit = Visit(Site(name="here", description="d"), ("finetune",), 1, 1.0)
    fake_slurm.wraps("sbatch", '"$REAL" "$@" >/dev/null; echo Thank you.')
    answer = run_probe_job(visit, store=tmp_path, token="t")
    assert "Thank you." in answer.error
    assert queued(fake_slurm.queue) == {}
    assert not (tmp_path / "doctor/t-job").exists()


def test_a_job_that_waits_too_long_is_cancelled(fake_slurm, tmp_path):
    """--wait is over while it is in the queue: nothing stays."""
    visit = Visit(Site(name="here", description="d"), ("finetune",), 1, 0.5)
    answer = run_probe_job(visit, store=tmp_path, token="t")
    assert answer.error.startswith("no answer in 0 s")
    assert queued(fake_slurm.queue) == {}


def test_a_quiet_site_has_one_finding():
    """Nothing is named that is not there."""
    assert found(Answer(log="x", events=DONE)) == {
        "job script": ("ok", "start and end were recorded")
    }


EDGES = {
    "setup": (
        Answer(notes=parse_notes("begun\nfailed: module load x: exit code 1\nended\n")),
        "failed",
    ),
    "shell": (
        Answer(notes=parse_notes("options: braceexpand:errexit:nounset\nkept: trap - USR1")),
        "ok",
    ),
    "launcher": (Answer(notes=Notes(printed=("Welcome to X",))), "ok"),
    "sbatch": (Answer(submitted=Submitted("7", ("12 SU left",)), submit_seconds=75), "ok"),
    "job script": (
        Answer(events=DONE[:1], notes=Notes(no_answer="attempt end, exit code 5")),
        "failed",
    ),
}
NAMED = {
    "setup": "module load x: exit code 1",
    "shell": "setup sets errexit, nounset; `trap - USR1`",
    "launcher": "Welcome to X",
    "sbatch": "answers after 75 s; 12 SU left",
    "job script": "`finetune attempt end` gave no answer (exit code 5)",
}


@pytest.mark.parametrize("check", EDGES)
def test_what_jobs_have_to_hold_is_named(check):
    """A failure where people have to do something, else a word about it."""
    answer, state = EDGES[check]
    row = found(answer)[check]
    assert row[0] == state
    assert NAMED[check] in row[1]


def test_an_environment_that_does_not_arrive_is_named():
    """--export=NONE, and a PATH without bash."""
    rows = found(Answer(), machine(inherits=False, has_bash=False))
    assert "--export=NONE" in rows["environment"][1]
    assert "no bash on node1" in rows["PATH"][1]


@pytest.mark.parametrize(
    ("tres", "gpus", "state"),
    [("mem=8G", 1, "warning"), ("mem=64G", 1, "ok"), ("mem=8G", 0, "ok"), ("cpu=1", 1, None)],
)
def test_too_little_main_memory_for_weights_is_a_warning(tres, gpus, state):
    """A default of the site that is below the weights of a base, where there are GPUs."""
    job = parse_jobs(f"JobId=7 JobState=COMPLETED NumNodes=1 TRES=cpu=4,{tres},node=1")[0]
    rows = found(Answer(state=job), machine(gpus={"seen": gpus}))
    assert rows.get("memory", (None,))[0] == state


@pytest.mark.parametrize(
    ("mode", "umask", "state", "words"),
    [
        (0o040755, 0o022, "ok", "others of lang can read"),
        (0o040700, 0o077, "ok", "others of lang cannot read"),
        (0o042775, 0o002, "ok", "files are shared with lang"),
        (0o042775, 0o022, "warning", "node1: umask 022"),
        (0o040775, 0o002, "warning", "no setgid bit"),
    ],
)
def test_a_store_of_a_group_is_compared_with_the_umask_of_jobs(mode, umask, state, words):
    """A store that is not shared is no complaint; a shared one needs umask and setgid."""
    row = edges.group(machine("login", mode=mode, umask=0o002), [machine(umask=umask)])
    assert row is not None
    assert (row.state, words in row.found) == (state, True)
