"""The memory of `finetune estimate` is near the peak of a training run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "estimate_error.py"
TOLERANCE = 0.25
"""Twice what was found on a quiet machine (benchmarks/README.md): allocators differ."""


@pytest.mark.slow
def test_memory_of_a_small_training_is_within_a_quarter() -> None:
    """With and without gradient checkpointing, the peak of a real training is within 25 % of what
    was predicted from the model's configuration."""
    command = [sys.executable, str(BENCHMARK), "--only", "small", "--rows", "2", "--tokens", "512"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    errors = re.findall(r"\| ([+-][\d.]+)%$", done.stdout, re.MULTILINE)
    assert len(errors) == 2
    assert all(abs(float(error)) < 100 * TOLERANCE for error in errors)
