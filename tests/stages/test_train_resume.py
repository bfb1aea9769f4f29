"""Stopped and started again, anywhere: the adapter is the uninterrupted one, bit for bit."""

from __future__ import annotations

import errno
import importlib
import io
import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from finetune.artefacts.job import Artifact, Job
from finetune.artefacts.timeline.attempts import PARTS, read_attempts
from finetune.errors import Stopped, StoreError
from finetune.messages import Problem
from finetune.models import kinds
from finetune.models.kinds import CAUSAL
from finetune.train import checkpoint, loop, micro_batch
from finetune.train.run import run
from tests.support.results import train_result
from tests.support.stopping_console import stopping_console
from tests.support.training_job import adapter_digest, digest, make_job, records, write_inputs

# 8 steps of 2 micro-batches; validated after 3, 6 and at the end; saved after 3 and 6.
SETTINGS: dict[str, Any] = {
    "lora": {"dropout": 0.1, "loraplus_lr_ratio": 4},
    "train": {"validate_every_steps": 3, "weight_decay": 0.01},
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, inputs: dict[str, Artifact]) -> Path:
    """The artefact of the training that was never stopped."""
    workspace = tmp_path_factory.mktemp("straight")
    run(make_job(workspace, inputs, **SETTINGS))
    return workspace


def assert_same(workspace: Path, straight: Path) -> None:
    """Adapter, tensors of the state and metrics are equal; only timings may differ."""
    assert adapter_digest(workspace) == adapter_digest(straight)
    state = "state/state.safetensors"
    assert digest(workspace / state) == digest(straight / state)
    for kind in ("train", "validation"):
        assert records(workspace, kind) == records(straight, kind)
    assert not (workspace / "checkpoints").exists()


def stop_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> None:
    """Send this process SIGTERM when the loop calls one of its functions for the nth time."""
    original = CAUSAL.make_batch if name == "make_batch" else getattr(loop, name)
    calls = []

    def signalled(*args: Any, **settings: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*args, **settings)

    if name == "make_batch":
        monkeypatch.setattr(kinds, "KINDS", (replace(CAUSAL, make_batch=signalled),))
    else:
        monkeypatch.setattr(loop, name, signalled)


def refused_stop(job: Job) -> Problem:
    """Run until the stop; return its problem."""
    with pytest.raises(Stopped) as caught:
        run(job)
    assert caught.value.exit_code == 75
    [found] = caught.value.problems
    assert found.code == "stopped"
    return found


def stopped_inside(job: Job, monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> Problem:
    """Run until the nth call of a function; return the problem of the stop."""
    with monkeypatch.context() as patch:
        stop_at(patch, name, call)
        return refused_stop(job)


def stopped(job: Job, *, steps: int = 5) -> Problem:
    """Run until so many steps are done; return the problem of the stop."""
    return refused_stop(replace(job, console=stopping_console(steps)))


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(micro_batches=[1])
@example(micro_batches=[16])
@given(micro_batches=st.lists(st.integers(1, 15), min_size=1, max_size=3))
@pytest.mark.slow
def test_stopped_at_any_micro_batch_it_continues_to_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory,
    inputs: dict[str, Artifact],
    straight: Path,
    micro_batches: list[int],
) -> None:
    """Dropout, LoRA+, schedule, best adapter and metrics all continue; several stops too."""
    workspace = tmp_path_factory.mktemp("stopped")
    monkeypatch = pytest.MonkeyPatch()
    for call in micro_batches:
        with monkeypatch.context() as patch:
            stop_at(patch, "make_batch", call)
            try:
                run(make_job(workspace, inputs, **SETTINGS))
            except Stopped:
                continue
        break
    if (workspace / "checkpoints").exists() or not (workspace / "adapter").exists():
        run(make_job(workspace, inputs, **SETTINGS))
    assert_same(workspace, straight)


@pytest.mark.parametrize("validation", [1, 2, 3])
def test_stopped_inside_a_validation_it_is_done_again(
    tmp_path: Path,
    inputs: dict[str, Artifact],
    straight: Path,
    monkeypatch: pytest.MonkeyPatch,
    validation: int,
) -> None:
    """Neither skipped nor counted twice, the one at the end included."""
    job = make_job(tmp_path, inputs, **SETTINGS)
    found = stopped_inside(job, monkeypatch, "score_together", validation)
    assert str(found.facts["when"]) == f"after step {(3, 6, 8)[validation - 1]} of 8"
    assert found.facts["reason"] == "SIGTERM"
    run(make_job(tmp_path, inputs, **SETTINGS))
    assert_same(tmp_path, straight)


def test_a_stop_saves_the_step_it_stopped_at(
    tmp_path: Path, inputs: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop in step 6 loses no finished step, though the last checkpoint was after step 3."""
    stopped(make_job(tmp_path, inputs, **SETTINGS))
    again = make_job(tmp_path, inputs, **SETTINGS)
    run(again)
    assert isinstance(again.console.out, io.StringIO)
    assert "resuming from the checkpoint at step 5 of 8" in again.console.out.getvalue()


def test_the_energy_of_every_start_counts(
    tmp_path: Path, inputs: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that was stopped states what both starts used, and how that was found."""
    stopped(make_job(tmp_path, inputs, **SETTINGS))
    (first,) = json.loads((tmp_path / "energy-0.json").read_text())
    found = run(make_job(tmp_path, inputs, **SETTINGS))["energy"]
    assert 0 < sum(first.values()) < found["kilowatt_hours"] * 3.6e6
    assert found["method"] == "; ".join(first)
    assert not list(tmp_path.glob("energy-*"))


def test_the_seconds_of_every_attempt_stay_and_add_up_to_its_time(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """Each attempt's parts sum to its wall time; what a resumption cuts off still counts."""
    stopped(make_job(tmp_path, inputs, **SETTINGS))
    shutil.rmtree(sorted((tmp_path / "checkpoints").iterdir())[-1])
    (before,) = read_attempts(tmp_path)
    begun = time.monotonic()
    again = make_job(tmp_path, inputs, **SETTINGS)
    run(again)
    wall = time.monotonic() - begun
    first, second = read_attempts(tmp_path)
    assert (first.outcome, first.first_step, first.last_step, first.lost_steps) == (
        *("stopped", 0, 5, 2),
    )
    assert first == replace(before, lost_steps=2, lost=pytest.approx(first.lost))
    assert 0 < first.lost < before.measured
    assert (second.outcome, second.first_step, second.last_step) == ("done", 3, 8)
    assert second.elapsed is not None
    assert second.elapsed == pytest.approx(wall, rel=0.1, abs=0.3)
    assert second.measured == pytest.approx(second.elapsed, rel=0.1, abs=0.2)
    for part in (*PARTS, "longest_checkpoint", "peak_memory_bytes"):
        assert getattr(second, part) > 0, part
    assert sum(second.start_up_parts.values()) == pytest.approx(second.start_up, abs=0.01)
    assert (first.gpu, second.gpu) == (None, None)
    assert isinstance(again.console.out, io.StringIO)
    assert "in 2 attempts; steps " in again.console.out.getvalue()


def test_a_stop_before_the_first_step_leaves_nothing(
    tmp_path: Path, inputs: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to save, and the message states it."""
    job = make_job(tmp_path, inputs, **SETTINGS)
    found = stopped_inside(job, monkeypatch, "make_batch", 1)
    assert str(found.facts["state"]) == "nothing was trained yet"
    assert not (tmp_path / "checkpoints").exists()


def test_a_damaged_newest_checkpoint_costs_only_its_steps(
    tmp_path: Path, inputs: dict[str, Artifact], straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, the one before is used, and the result is the same."""
    stopped(make_job(tmp_path, inputs, **SETTINGS))
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    content = bytearray((newest / "state.safetensors").read_bytes())
    content[-1] ^= 1
    (newest / "state.safetensors").write_bytes(content)
    again = make_job(tmp_path, inputs, **SETTINGS)
    run(again)
    assert isinstance(again.console.out, io.StringIO)
    shown = again.console.out.getvalue()
    assert f"{newest}: damaged checkpoint: the checksum of" in shown
    assert "resuming from the checkpoint at step 3 of 8" in shown
    assert_same(tmp_path, straight)


def test_a_full_disk_keeps_the_checkpoint_before(
    tmp_path: Path, inputs: dict[str, Artifact], straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clear error; with space again the same command resumes from the step before."""
    write, calls = checkpoint.write_synced, []

    def full(path: Path, content: bytes) -> None:
        calls.append(1)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_synced", full)
        with pytest.raises(StoreError) as full_disk:
            run(make_job(tmp_path, inputs, **SETTINGS))
    assert full_disk.value.codes == ("disk-full",)
    assert full_disk.value.problems[0].facts["what"] == "the checkpoint of step 6"
    again = make_job(tmp_path, inputs, **SETTINGS)
    run(again)
    assert isinstance(again.console.out, io.StringIO)
    assert "resuming from the checkpoint at step 3 of 8" in again.console.out.getvalue()
    assert_same(tmp_path, straight)


@pytest.mark.parametrize("name", ["save_adapter", "write_folder", "draw_loss"])
def test_a_crash_while_finishing_is_finished_by_the_same_command(
    tmp_path: Path,
    inputs: dict[str, Artifact],
    straight: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Whatever of adapter, state and picture was written, the next start completes it."""
    stage = importlib.import_module("finetune.train.run")

    def crash(*args: Any, **settings: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(stage, name, crash)
        with pytest.raises(ZeroDivisionError):
            run(make_job(tmp_path, inputs, **SETTINGS))
    run(make_job(tmp_path, inputs, **SETTINGS))
    assert_same(tmp_path, straight)


def test_a_stop_while_finishing_is_not_lost(
    tmp_path: Path, inputs: dict[str, Artifact], straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage after this one must not begin; the next start has only the end to repeat."""
    stage = importlib.import_module("finetune.train.run")
    with monkeypatch.context() as patch:
        patch.setattr(stage, "draw_loss", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        found = refused_stop(make_job(tmp_path, inputs, **SETTINGS))
    assert str(found.facts["when"]) == "at the end of training"
    run(make_job(tmp_path, inputs, **SETTINGS))
    assert_same(tmp_path, straight)


def test_a_resumed_run_keeps_the_measured_rows(
    tmp_path: Path, inputs: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were measured once are not measured again, unless the budget was changed."""
    auto = SETTINGS | {"run": {"micro_batch_size": "auto", "memory_gib": 0.001}}
    stopped(make_job(tmp_path, inputs, **auto))
    shutil.copytree(tmp_path, tmp_path.with_name("changed"))
    monkeypatch.setattr(micro_batch, "choose_micro_batch_rows", lambda *_, **__: 3)
    assert run(make_job(tmp_path, inputs, **auto))["micro_batch_rows"] == 1
    more = SETTINGS | {"run": {"micro_batch_size": "auto", "memory_gib": 2.0}}
    changed = make_job(tmp_path.with_name("changed"), inputs, **more)
    assert run(changed)["micro_batch_rows"] == 3


def test_a_checkpoint_of_another_training_is_refused(
    tmp_path: Path, inputs: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other parameters than the model's are an error, not a silent partial load."""
    stopped(make_job(tmp_path, inputs, **SETTINGS))
    with pytest.raises(StoreError) as refused:
        run(make_job(tmp_path, inputs, lora={"target_modules": ["q_proj"]}))
    assert refused.value.codes == ("checkpoint-of-another-run",)


class TestRaisedSteps:
    """A raised max_steps resumes from the shorter run."""

    def train(self, steps: int, **more: Any) -> dict[str, Any]:
        return {
            "lora": {"dropout": 0.1},
            "train": {"schedule": "constant", "max_steps": steps, "validate_every_steps": 3} | more,
        }

    @pytest.mark.parametrize("steps", [5, 6])
    def test_it_equals_the_longer_training_bit_for_bit(
        self, tmp_path: Path, inputs: dict[str, Artifact], steps: int
    ) -> None:
        """With a constant rate; the validation at the shorter one's end leaves no trace."""
        run(make_job(tmp_path / "short", inputs, **self.train(steps)))
        shorter = Artifact(stage="train", key="s", path=tmp_path / "short", result=train_result())
        job = make_job(tmp_path / "on", inputs | {"shorter": shorter}, **self.train(9))
        run(job)
        assert isinstance(job.console.out, io.StringIO)
        assert f"resuming from the checkpoint at step {steps} of 9" in job.console.out.getvalue()
        run(make_job(tmp_path / "fresh", inputs, **self.train(9)))
        assert_same(tmp_path / "on", tmp_path / "fresh")

    def test_a_shorter_training_that_stopped_early_stays_stopped(
        self, tmp_path: Path, inputs: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Patience had run out; more steps do not bring it back."""
        monkeypatch.setattr(loop, "bits_per_byte_by_language", lambda *_, **__: {"hau_Latn": 1.0})
        run(make_job(tmp_path / "short", inputs, **self.train(8, early_stopping_patience=1)))
        shorter = Artifact(stage="train", key="s", path=tmp_path / "short", result=train_result())
        job = make_job(
            tmp_path / "on",
            inputs | {"shorter": shorter},
            **self.train(20, early_stopping_patience=1),
        )
        assert run(job)["steps"] == 6

    def test_a_damaged_shorter_one_is_not_used(
        self, tmp_path: Path, inputs: dict[str, Artifact]
    ) -> None:
        """It is named, and the training starts fresh."""
        run(make_job(tmp_path / "short", inputs, **self.train(3)))
        (tmp_path / "short/state/state.safetensors").write_bytes(b"torn")
        shorter = Artifact(stage="train", key="s", path=tmp_path / "short", result=train_result())
        job = make_job(tmp_path / "on", inputs | {"shorter": shorter}, **self.train(6))
        assert run(job)["steps"] == 6
        assert isinstance(job.console.out, io.StringIO)
        assert "damaged checkpoint" in job.console.out.getvalue()
        run(make_job(tmp_path / "fresh", inputs, **self.train(6)))
        assert_same(tmp_path / "on", tmp_path / "fresh")
