"""`finetune doctor --gpu` in a launch of two ranks, tiny and on the CPU."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from finetune.cluster.doctor.gpu.over_ranks import WAYS
from tests.ranks.launch import finish, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_two_ranks_try_every_sharding_and_one_shows_it(tmp_path: Path) -> None:
    """Sums are right; every sharding has the loss of ddp and resumes bit for bit; nothing stays."""
    store = tmp_path / "store"
    verb = ["doctor", "--gpu", "--dry", "--json", "--store", str(store)]
    started = start([sys.executable, "-m", "finetune", *verb], ranks=2, logs=tmp_path)
    codes = finish(started, seconds=600)
    first, second = ((tmp_path / f"rank-{rank}.log").read_text() for rank in (0, 1))
    assert codes == [0, 0], first + second
    lines = [json.loads(line) for line in first.splitlines() if line.startswith("{")]
    rows = [line for line in lines if line.get("table") == "gpu_checks"]
    names = ["sum over 2 ranks", *(f"{way.name} in two parts" for way in WAYS)]
    assert [row["check"] for row in rows] == names
    assert {row["state"] for row in rows} == {"ok"}
    assert "gpu_checks" not in second
    assert list((store / "doctor").iterdir()) == []
