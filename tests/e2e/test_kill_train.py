"""A training that is killed without warning, anywhere, ends with the same adapter."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.training_job import adapter_digest, digest, records, write_inputs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("inputs")
    write_inputs(directory)
    return directory


def train(inputs: Path, out: Path, *kills: str) -> int:
    """Train in children killed as planned; return how many were."""
    program = [sys.executable, str(ROOT / "tests/e2e/killed_training.py")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*program, str(inputs), str(out), *kills],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout.split()[-2])


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, inputs: Path) -> Path:
    workspace = tmp_path_factory.mktemp("straight") / "out"
    train(inputs, workspace)
    return workspace


def assert_same(workspace: Path, straight: Path) -> None:
    assert adapter_digest(workspace) == adapter_digest(straight)
    state = "state/state.safetensors"
    assert digest(workspace / state) == digest(straight / state)
    for kind in ("train", "validation"):
        assert records(workspace, kind) == records(straight, kind)
    names = sorted(p.name for p in workspace.iterdir())
    assert names == ["adapter", "loss.png", "metrics.jsonl", "state"]


def test_killed_at_random_instants_the_same_command_ends_with_the_same_adapter(
    tmp_path: Path, inputs: Path, straight: Path
) -> None:
    """Three kills one after the other, then a start that finishes: equal to the byte."""
    kills = train(inputs, tmp_path / "out", "random:0.02", "write:9", "random:0.05", "write:6+")
    assert kills >= 3
    assert_same(tmp_path / "out", straight)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_killed_at_many_random_instants(
    tmp_path: Path, inputs: Path, straight: Path, seed: int
) -> None:
    """Up to eight kills at instants drawn over the whole training."""
    draw = random.Random(seed)
    train(inputs, tmp_path / "out", *(f"random:{draw.uniform(0, 0.4)}" for _ in range(8)))
    assert_same(tmp_path / "out", straight)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_every_write(tmp_path: Path, inputs: Path, straight: Path) -> None:
    """One training for each sync or rename, killed just before it, and one for just after."""
    kills = train(inputs, tmp_path, "every-write")
    assert kills > 40
    for number in range(kills):
        assert_same(tmp_path / str(number), straight)
