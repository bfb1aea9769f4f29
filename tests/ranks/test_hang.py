"""A rank that hangs is named while the others wait for it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.ranks.launch import train
from tests.support.training_job import write_inputs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_the_rank_that_hangs_is_named_in_the_log_and_the_run_goes_on(tmp_path: Path) -> None:
    """With its step and node, by rank 0; nothing of it stays in the artefact."""
    write_inputs(tmp_path / "inputs")
    run = {"workspace": str(tmp_path / "w"), "inputs": str(tmp_path / "inputs"), "hang_at": 5}
    (result,) = train(tmp_path / "logs", [run], ranks=2)
    assert result["steps"] == 8
    said = (tmp_path / "logs/rank-0.log").read_text()
    named = f"rank 1 on {socket.gethostname()} last seen at step 5 (between steps)"
    assert named in " ".join(said.split()), said
    assert "the ranks go on after" in said
    assert "no step for" not in (tmp_path / "logs/rank-1.log").read_text()
    assert not (tmp_path / "w/beats").exists()
