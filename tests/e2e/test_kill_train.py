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
SHORT = "steps:6"


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


@pytest.mark.parametrize(
    "runs",
    [pytest.param(2, marks=pytest.mark.slow), pytest.param(6, marks=pytest.mark.nightly)],
)
def test_killed_at_many_random_instants(
    tmp_path: Path, inputs: Path, straight: Path, runs: int
) -> None:
    """Each training run is killed up to eight times at instants drawn over the whole of it."""
    plans: list[str] = []
    for seed in range(runs):
        draw = random.Random(seed)
        plans += ["next", *(f"random:{draw.uniform(0, 0.4)}" for _ in range(8))]
    assert train(inputs, tmp_path, *plans[1:]) > runs
    for number in range(runs):
        assert_same(tmp_path / str(number), straight)


@pytest.mark.parametrize(
    ("every", "at_least"),
    [
        pytest.param(5, 8, marks=pytest.mark.slow),
        pytest.param(1, 40, marks=[pytest.mark.nightly, pytest.mark.timeout(900)]),
    ],
)
def test_killed_at_every_write(tmp_path: Path, inputs: Path, every: int, at_least: int) -> None:
    """One training run for each sync or rename (each fifth in the short form), killed just before
    it, and one for just after: the first checkpoints, one that takes the place of an older one,
    the best, and what ends it."""
    train(inputs, tmp_path / "straight", SHORT)
    kills = train(inputs, tmp_path, SHORT, f"every-write:{every}")
    assert kills > at_least
    for number in range(kills):
        assert_same(tmp_path / str(number), tmp_path / "straight")
