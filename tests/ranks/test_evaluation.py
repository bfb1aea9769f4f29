"""Several processes evaluate what one does: the ranks of a launch, and processes of one store."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ranks.launch import (
    ROOT,
    WORKERS,
    command,
    environment_of,
    finish,
    free_port,
    start,
)
from tests.support.project import write_project
from tests.support.surroundings import Inside

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FEW = ("--set", "evaluate.samples=1", "--set", "evaluate.generate_items=4")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def trained(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with everything but an evaluation."""
    store = tmp_path_factory.mktemp("trained") / "store"
    subprocess.run(command(recipe, store), check=True, cwd=recipe.parents[1], capture_output=True)
    return store


@pytest.fixture(scope="module")
def alone(recipe: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artefact of one process."""
    store = _copied(trained, tmp_path_factory.mktemp("alone"))
    environment = environment_of(0, ranks=1, port=free_port())
    subprocess.run(
        command(recipe, store, *FEW, verb="evaluate"),
        check=True,
        cwd=recipe.parents[1],
        env=environment,
        capture_output=True,
    )
    return _evaluated(store)


def _copied(store: Path, folder: Path) -> Path:
    return Path(shutil.copytree(store, folder / "store"))


def _evaluated(store: Path) -> Path:
    (found,) = (p.parent for p in store.glob("evaluate/*/manifest.json") if not p.parent.suffix)
    return found


def _scores(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "scores.json").read_text())["scores"]
    return found


def _same(one: Path, other: Path) -> None:
    """Per-item values within 1e-5, generations and items alike."""
    names = sorted(path.name for path in (one / "items").iterdir())
    assert names == sorted(path.name for path in (other / "items").iterdir())
    for name in names:
        left, right = one / "items" / name, other / "items" / name
        if name.endswith(".npy"):
            np.testing.assert_allclose(np.load(left), np.load(right), rtol=1e-5, atol=1e-5)
        else:
            assert left.read_bytes() == right.read_bytes()
    assert (one / "generations.jsonl").read_bytes() == (other / "generations.jsonl").read_bytes()
    for a, b in zip(_scores(one), _scores(other), strict=True):
        assert a["value"] == pytest.approx(b["value"], rel=1e-5)
        assert a["signature"] == b["signature"]


def test_two_ranks_measure_what_one_process_does(
    recipe: Path, trained: Path, alone: Path, tmp_path: Path, inside: Inside
) -> None:
    """Rank 0 alone writes; items, scores and signatures are those of one process."""
    inside(recipe.parents[1])
    store = _copied(trained, tmp_path)
    ranks = start(command(recipe, store, *FEW, verb="evaluate"), ranks=2, logs=tmp_path)
    assert finish(ranks) == [0, 0], (tmp_path / "rank-0.log").read_text()
    assert not (tmp_path / "rank-1.log").read_text()
    _same(alone, _evaluated(store))


def test_processes_of_one_store_share_an_evaluation_and_survive_each_other(
    recipe: Path, trained: Path, alone: Path, tmp_path: Path, inside: Inside
) -> None:
    """Of two processes that evaluate one adapter the first is killed; the other ends the work."""
    inside(recipe.parents[1])
    store = _copied(trained, tmp_path)
    program = command(recipe, store, *FEW, verb="evaluate")
    environment = environment_of(0, ranks=1, port=free_port()) | {"PYTHONPATH": str(ROOT)}
    processes = [subprocess.Popen(program, env=environment) for _ in range(2)]
    _wait_for_a_shard(store, "evaluate/*.partial/shards/*/*/*.jsonl")
    processes[0].kill()
    assert finish(processes) == [-signal.SIGKILL, 0]
    _same(alone, _evaluated(store))


def test_one_process_resumes_what_two_ranks_began(
    recipe: Path, trained: Path, alone: Path, tmp_path: Path, inside: Inside
) -> None:
    """A rank is killed, and its launch ends: one process measures only what is missing, and each
    item has the value of an evaluation that was never stopped."""
    inside(recipe.parents[1])
    store = _copied(trained, tmp_path)
    program = command(recipe, store, *FEW, verb="evaluate")
    ranks = start(program, ranks=2, logs=tmp_path)
    _wait_for_a_shard(store, "baseline/*.partial/shards/*/*/*.jsonl")
    for rank in ranks:
        rank.kill()
    assert finish(ranks) == [-signal.SIGKILL] * 2
    before = _shards(store)
    subprocess.run(
        program,
        check=True,
        env=environment_of(0, ranks=1, port=free_port()),
        capture_output=True,
    )
    after = _shards(store)
    assert before
    assert before.items() <= after.items()
    _same(alone, _evaluated(store))


def _shards(store: Path) -> dict[str, int]:
    """Return when each shard of the base was written."""
    found = store.glob("baseline/*/shards/base/**/*.jsonl")
    return {"/".join(path.parts[-2:]): path.stat().st_mtime_ns for path in found}


def _wait_for_a_shard(store: Path, pattern: str) -> None:
    until = time.monotonic() + 120 * WORKERS
    while not list(store.glob(pattern)):
        assert time.monotonic() < until, "no shard was measured"
        time.sleep(0.05)
