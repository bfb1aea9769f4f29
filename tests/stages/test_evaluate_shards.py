"""Evaluations in shards: killed, damaged and continued ones give the bytes of a whole one."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.artefacts.job import Artifact, Job
from finetune.evaluate import base_and_adapter, baseline, measurement
from finetune.evaluate import run as evaluation
from finetune.evaluate.measuring import shards
from finetune.evaluate.measuring.loaded_systems import Systems
from finetune.evaluate.run import run
from tests.support.compared_models import with_models, write_translation_model
from tests.support.evaluate_job import make_job
from tests.support.killed_evaluation import SETTINGS as KILLED
from tests.support.killed_evaluation import SHARD_ITEMS
from tests.support.tiny import write_tiny_model

FILES = ("scores.json", "generations.jsonl", "report.html")
SETTINGS: dict[str, Any] = {"scale": 0.05, **KILLED}


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base") / "model").parent


@pytest.fixture
def few(constants: Callable[..., None]) -> None:
    """Shards of four items, of which there are many."""
    constants(base_and_adapter, SHARD_ITEMS=SHARD_ITEMS)


@pytest.fixture
def whole(tmp_path: Path, base_folder: Path, few: None) -> Job:
    """An evaluation that was never stopped."""
    job = make_job(tmp_path / "whole", base_folder, **SETTINGS)
    run(job)
    return job


class _Kill(BaseException):
    """An end at any instant."""


def _written(constants: Callable[..., None], *, at_most: int | None = None) -> list[str]:
    """Note the shards that are written; end before one more than `at_most`."""
    noted: list[str] = []

    def noting(path: Path, *rest: Any) -> None:
        if at_most is not None and len(noted) == at_most:
            raise _Kill
        noted.append(str(path.relative_to(path.parents[2])))
        shards.write_answers(path, *rest)

    constants(measurement, write_answers=noting)
    return noted


def _same(one: Job, other: Job) -> None:
    for file in FILES:
        assert (one.workspace / file).read_bytes() == (other.workspace / file).read_bytes()
    left, right = (sorted((job.workspace / "items").iterdir()) for job in (one, other))
    assert [file.name for file in left] == [file.name for file in right]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(left, right, strict=True))


def test_an_evaluation_that_ended_half_way_measures_only_the_rest(
    tmp_path, base_folder, whole, constants
):
    """Each shard is measured once over two starts, and the bytes are those of one start."""
    job = make_job(tmp_path / "again", base_folder, **SETTINGS)
    before = _written(constants, at_most=5)
    with pytest.raises(_Kill):
        run(job)
    after = _written(constants)
    run(job)
    assert len(before) == 5
    assert len(after) > 5
    assert not set(before) & set(after)
    assert len(after) == len(set(after))
    _same(whole, job)
    assert not [path for path in job.workspace.iterdir() if path.name.startswith("shards")]


def test_the_base_with_examples_is_measured_shard_by_shard(tmp_path, base_folder, whole, constants):
    """A yardstick that asks the base is cut as the task is, and its items have the values that they
    have in one shard."""
    job = make_job(tmp_path / "one", base_folder, **SETTINGS)
    constants(base_and_adapter, SHARD_ITEMS={"cpu": 1000, "cuda": 1000})
    one_shard = _written(constants)
    run(job)
    assert [path for path in one_shard if "held_out_text.examples" in path] == [
        "base/held_out_text.examples/0-00000.jsonl"
    ]
    job = make_job(tmp_path / "many", base_folder, **SETTINGS)
    constants(base_and_adapter, SHARD_ITEMS=SHARD_ITEMS)
    many = _written(constants)
    run(job)
    for task in ("held_out_text", "translation"):
        mine = [path.split("/")[-1] for path in many if f"base/{task}/" in path]
        assert mine == [path.split("/")[-1] for path in many if f"base/{task}.examples/" in path]
        assert len(mine) > 1
    for file in sorted((job.workspace / "items").glob("*.npy")):
        left, right = np.load(file), np.load(tmp_path / "one/evaluate/items" / file.name)
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)


def test_other_models_are_measured_shard_by_shard(tmp_path, base_folder, few, constants):
    """A start that ended among their shards goes on there, a process that takes part measures
    some, and what is written is that of one start."""
    write_tiny_model(tmp_path / "other/model", kind="qwen2")
    write_translation_model(tmp_path / "nllb/model")
    models = {"other": tmp_path / "other", "nllb": tmp_path / "nllb"}

    def job_in(folder: str) -> Job:
        return with_models(make_job(tmp_path / folder, base_folder, **SETTINGS), **models)

    one, again = job_in("one"), job_in("again")
    every = _written(constants)
    run(one)
    theirs = [path for path in every if path.startswith("model.")]
    assert len([path for path in theirs if path.startswith("model.other/translation/")]) > 1
    assert len([path for path in theirs if path.startswith("model.nllb/translation/")]) > 1
    assert not [path for path in theirs if path.startswith("model.nllb/held_out_text")]
    _written(constants, at_most=len(every) - len(theirs) + 2)
    with pytest.raises(_Kill):
        run(again)
    by_follower: list[dict[str, Any]] = []

    def write(path: Path, *rest: Any) -> None:
        if not by_follower:
            by_follower.append({})
            by_follower.append(run(replace(again, leads=False)))
        shards.write_answers(path, *rest)

    constants(measurement, write_answers=write)
    run(again)
    assert by_follower[1:] == [{"shards": len(theirs) - 3}]
    _same(one, again)


def test_a_finished_measurement_loads_no_model(tmp_path, base_folder, whole, constants):
    """A start that lacks only the statistics reads shards, and loads neither base nor adapter."""
    job = make_job(tmp_path / "again", base_folder, **SETTINGS)

    def kill(*_: Any) -> None:
        raise _Kill

    constants(evaluation, forget=kill)
    with pytest.raises(_Kill):
        run(job)
    constants(evaluation, forget=measurement.forget)
    shutil.rmtree(job.inputs["train"].path / "adapter")
    run(job)
    _same(whole, job)


@pytest.mark.parametrize("content", ["", '{"group": 0, "item": 0, "output"', "[]\n"])
def test_a_damaged_shard_is_measured_again(tmp_path, base_folder, whole, constants, content):
    """A file that lacks an item counts as not there."""
    job = make_job(tmp_path / "again", base_folder, **SETTINGS)
    before = _written(constants, at_most=2)
    with pytest.raises(_Kill):
        run(job)
    (job.workspace / "shards" / before[0]).write_text(content, encoding="utf-8")
    after = _written(constants)
    run(job)
    assert before[0] in after
    assert before[1] not in after
    _same(whole, job)


def test_shards_of_another_version_are_not_mixed_in(tmp_path, base_folder, whole, constants):
    """Shards that were measured in another way are removed, and that is said."""
    job = make_job(tmp_path / "again", base_folder, **SETTINGS)
    before = _written(constants, at_most=2)
    with pytest.raises(_Kill):
        run(job)
    path = job.workspace / "shards/conditions.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "cuda"}))
    after = _written(constants)
    run(job)
    assert set(before) < set(after)
    assert "is not used" in job.console.out.getvalue()  # type: ignore[attr-defined]
    _same(whole, job)


def test_a_process_that_takes_part_measures_the_free_shards(
    tmp_path, base_folder, whole, constants
):
    """It leaves the shard that is taken; the process that leads then merges all, byte for byte."""
    job = make_job(tmp_path / "shared", base_folder, **SETTINGS)
    other = replace(job, leads=False)
    assert run(other) == {}
    written: list[str] = []
    by_leader: list[str] = []
    taken: list[dict[str, Any]] = []

    def write(path: Path, *rest: Any) -> None:
        if not taken:
            taken.append({})  # what the other process writes passes through here, too
            taken.append(run(other))
            by_leader.append(path.name)
        written.append(path.name)
        shards.write_answers(path, *rest)

    constants(measurement, write_answers=write)
    run(job)
    assert taken[1:] == [{"shards": len(written) - 1}]
    assert len(by_leader) == 1
    _same(whole, job)


def test_a_process_on_another_device_takes_no_part(tmp_path, base_folder, few, constants):
    """Scores of one evaluation come from one kind of device; the process says why it waits."""
    job = make_job(tmp_path / "shared", base_folder, **SETTINGS)
    _written(constants, at_most=1)
    with pytest.raises(_Kill):
        run(job)
    path = job.workspace / "shards/conditions.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"device": "cuda"}))
    assert run(replace(job, leads=False)) == {"shards": 0}
    assert "not taking part" in job.console.out.getvalue()  # type: ignore[attr-defined]


def test_a_process_that_takes_part_ends_with_the_evaluation(tmp_path, base_folder, few, constants):
    """A folder that was finished, or taken over by another process, is no error to it."""
    job = make_job(tmp_path / "shared", base_folder, **SETTINGS)
    _written(constants, at_most=1)
    with pytest.raises(_Kill):
        run(job)

    def write(*_: Any) -> None:
        job.workspace.rename(tmp_path / "finished")

    constants(measurement, write_answers=write)
    assert run(replace(job, leads=False)) == {"shards": 0}


@pytest.fixture
def based(tmp_path: Path, base_folder: Path, few: None) -> Job:
    """An evaluation whose base was measured before."""
    job = make_job(tmp_path / "based", base_folder, **SETTINGS)
    (tmp_path / "baseline").mkdir()
    inputs = {role: one for role, one in job.inputs.items() if role != "train"}
    result = baseline.run(replace(job, inputs=inputs, workspace=tmp_path / "baseline"))
    made = Artifact("baseline", "m", tmp_path / "baseline", result)
    return replace(job, inputs={**job.inputs, "baseline": made})


def test_a_stored_base_is_not_measured_again(whole, based, constants):
    """With a baseline only the adapter is asked, and no byte differs from measuring both."""
    measured = _written(constants)
    run(based)
    assert measured
    assert all(path.startswith("adapter/") for path in measured)
    _same(whole, based)


def test_a_base_that_was_measured_otherwise_is_measured_again(whole, based, constants):
    """Base and adapter are compared under the same conditions; a second measurement is stated."""
    path = based.inputs["baseline"].path / "shards/conditions.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"score_tokens": 1}))
    measured = _written(constants)
    run(based)
    assert {path.split("/")[0] for path in measured} == {"base", "adapter"}
    assert "the base is measured again" in based.console.out.getvalue()  # type: ignore[attr-defined]
    _same(whole, based)


def test_speeds_are_kept_where_the_base_was_measured_before(based, constants):
    """With new tokens both systems generate for a time; the stored base has no folder here."""
    made = Artifact("vocabulary", "v", based.workspace, {})
    job = replace(based, inputs={**based.inputs, "vocabulary": made})
    kept = job.workspace / "shards/base/speed.json"
    constants(measurement, tokens_per_second=lambda *_: 3.0)
    for _ in range(2):
        assert measurement._speed(job, "base", [], systems=Systems(job)) == 3.0
        assert json.loads(kept.read_text()) == {"tokens_per_second": 3.0}
        constants(measurement, tokens_per_second=None)


@pytest.mark.slow
def test_an_evaluation_killed_at_any_shard_goes_on(tmp_path, base_folder, whole):
    """SIGKILL before a shard or while its file is written costs that shard, and no byte differs."""
    job = make_job(tmp_path / "again", base_folder, **SETTINGS)
    for shards_until_kill, moment in (("3", "before"), ("2", "within")):
        arguments = [str(tmp_path / "again"), str(base_folder), shards_until_kill, moment]
        command = [sys.executable, "-m", "tests.support.killed_evaluation", *arguments]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(list((job.workspace / "shards").rglob("*.jsonl"))) == 5
    run(job)
    _same(whole, job)
    left = {".lease", ".tmp", ".removed"}
    assert not [path for path in job.workspace.rglob("*") if path.suffix in left]
