"""A run resumes with the versions that wrote its checkpoint, and compares the loss at the seam."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.artefacts.job import Artifact, Job
from finetune.errors import Stopped, TrainError
from finetune.train.checkpoint import read_checkpoint, save_checkpoint
from finetune.train.resuming.seam import FILE
from finetune.train.run import run
from tests.support.stopping_console import stopping_console
from tests.support.training_job import make_job, records, write_inputs

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


def stopped(workspace: Path, inputs: dict[str, Artifact]) -> Path:
    """Train up to a stop by SIGUSR1; return the newest checkpoint."""
    job = replace(make_job(workspace, inputs), console=stopping_console(5, by=signal.SIGUSR1))
    with pytest.raises(Stopped):
        run(job)
    return max((workspace / "checkpoints").glob("step-*"))


def rewritten(folder: Path, **versions: str) -> None:
    """Let other versions have written a checkpoint."""
    seam = (folder / FILE).read_bytes() if (folder / FILE).exists() else None
    checkpoint = read_checkpoint(folder)
    other = replace(checkpoint, versions={**checkpoint.versions, **versions})
    save_checkpoint(folder.parent, other)
    if seam is not None:
        (folder / FILE).write_bytes(seam)


def shown(job: Job) -> str:
    return " ".join(job.console.out.getvalue().split())


def test_other_versions_are_refused_until_they_are_accepted(
    inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    """With both numbers and the option; accepted, the seam is recorded."""
    folder = stopped(tmp_path / "w", inputs)
    rewritten(folder, torch="2.12.9", safetensors="0.0.1")
    with pytest.raises(TrainError) as refused:
        run(make_job(tmp_path / "w", inputs))
    assert refused.value.codes == ("other-versions",)
    assert "torch 2.12.9 (here 2." in str(refused.value)
    assert "--accept-versions" in str(refused.value)
    assert "safetensors" not in str(refused.value)
    accepting = make_job(tmp_path / "w", inputs, run={"accept_versions": True})
    run(accepting)
    assert "resuming with other versions, as accepted: torch 2.12.9" in shown(accepting)


def test_the_same_parameters_have_the_same_loss_on_both_sides(
    inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    """To the bit on one machine; nothing is recorded where nothing differs."""
    folder = stopped(tmp_path / "w", inputs)
    probe = json.loads((folder / FILE).read_text())["bits_per_byte"]
    job = make_job(tmp_path / "w", inputs)
    run(job)
    line = f"the loss is the same where the run resumes: {probe:.6f} bits per byte at step 5 before"
    assert f"{line}, {probe:.6f} after" in shown(job)
    assert records(tmp_path / "w", "seam") == []


def test_another_loss_at_the_seam_is_a_warning_and_a_record(
    inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    """As parameters that were not restored would give it."""
    folder = stopped(tmp_path / "w", inputs)
    probe = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps(probe | {"bits_per_byte": probe["bits_per_byte"] + 0.01}))
    job = make_job(tmp_path / "w", inputs)
    run(job)
    assert "warning: the loss changes where the run resumes" in shown(job)
    (record,) = records(tmp_path / "w", "seam")
    assert record["before"] == pytest.approx(probe["bits_per_byte"] + 0.01)
    assert record["after"] == pytest.approx(probe["bits_per_byte"], abs=1e-9)
