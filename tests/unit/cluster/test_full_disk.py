"""A disk that is full or closed ends `submit`, `resubmit` and `cancel` with a sentence."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.cluster.chain import chain as chains
from finetune.cluster.submit import queue, resubmit, submit
from tests.support.artefacts import finish_fetching
from tests.support.fake_slurm import queued
from tests.support.light_project import write_light_project

SUBMIT = ["submit", "recipes/tiny.yaml", "--site", "site.yaml"]


@pytest.fixture
def here(tmp_path, inside, variables, fake_slurm, monkeypatch) -> Path:
    """A project whose base is fetched."""
    write_light_project(tmp_path / "project")
    inside(tmp_path / "project")
    variables(PWD=str(tmp_path / "project"), XDG_CONFIG_HOME=str(tmp_path / "config"))
    monkeypatch.delenv("FINETUNE_STORE", raising=False)
    finish_fetching(Path("recipes/tiny.yaml"), Path(".finetune"))
    return tmp_path / "project"


def refusing(number: int):
    """Return a write that the disk refuses."""

    def write(*_args: object, **_options: object) -> None:
        raise OSError(number, "No space left on device", str(Path(".finetune/chains/x").absolute()))

    return write


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EACCES, "cannot read or write here"),
    ],
)
@pytest.mark.parametrize(
    ("module", "write"),
    [(submit, "write_chain"), (submit, "write_project"), (queue, "append_submission")],
)
def test_a_submission_leaves_neither_job_nor_traceback(
    here, capsys, constants, fake_slurm, module, write, number, said
):
    """Whichever write fails: exit code 1, a remedy, no job in the queue, no half-written chain."""
    constants(module, **{write: refusing(number)})
    assert main(SUBMIT) == 1
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
    assert not queued(fake_slurm.queue)
    left = list(Path(".finetune/chains").glob("*"))
    assert not left or module is queue


def test_a_full_disk_keeps_no_job_in_the_queue(here, capsys, constants, fake_slurm):
    """`cancel` ends the jobs also where it cannot be recorded, and says so."""
    assert main(SUBMIT) == 0
    assert len(queued(fake_slurm.queue)) == 4
    constants(queue, append_cancellation=refusing(errno.ENOSPC))
    assert main(["cancel"]) == 1
    assert "the disk is full" in capsys.readouterr().err
    assert not queued(fake_slurm.queue)


def test_resubmit_on_a_full_disk_says_so(here, capsys, constants, fake_slurm):
    """Nothing is queued."""
    assert main(SUBMIT) == 0
    assert main(["cancel"]) == 0
    constants(resubmit, write_chain=refusing(errno.ENOSPC))
    assert main(["resubmit"]) == 1
    assert "the disk is full" in capsys.readouterr().err
    assert not queued(fake_slurm.queue)


def test_a_refused_job_is_the_reason_that_status_shows(here, capsys, fake_slurm):
    """The jobs before it are cancelled, not by the user."""
    fake_slurm.refuses("sbatch", "QOSMaxSubmitJobPerUserLimit", arguments="*--dependency*")
    assert main(SUBMIT) == 1
    assert main(["status"]) == 0
    prepare = capsys.readouterr().out.splitlines()[2]
    assert "cancelled (submission failed: sbatch" in prepare
    assert "QOSMaxSubmitJobPerUserLimit" in prepare
    assert not chains.read_submissions(chains.find_chain(Path(".finetune")))[1:]
