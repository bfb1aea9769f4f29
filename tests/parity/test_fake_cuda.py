"""The branch of a GPU on fake CUDA tensors: tests/fake_cuda, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_cuda import hooks

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_branch_of_a_gpu_is_right_on_fake_tensors() -> None:
    """Devices, types, waits, FLOPs and bytes of training steps; mutations are found."""
    reason = hooks.missing()
    if reason is not None:
        (pytest.fail if os.environ.get(hooks.REQUIRED) == "1" else pytest.skip)(reason)
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_XDIST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/fake_cuda"],
        cwd=ROOT,
        env=variables | {"FINETUNE_FAKE_CUDA": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\nalone: make test-fake-cuda"
