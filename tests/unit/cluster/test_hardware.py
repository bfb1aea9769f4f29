"""Probes of GPUs and other ranks, on a machine that has neither."""

from __future__ import annotations

import pytest

from finetune.cluster.doctor.hardware import find_gpus, try_exchange

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize(
    ("tool", "printed"),
    [
        ("nvidia-smi", "NVIDIA H100 80GB HBM3, 570.1\nNVIDIA H100 80GB HBM3, 570.1\n"),
        ("rocm-smi", "device,Card series,Driver version\ncard0,MI250X,6.3\ncard1,MI250X,6.3\n"),
    ],
)
def test_the_driver_is_asked_a_line_a_gpu(tool, printed, tmp_path, variables):
    """Whichever of the two tools is here answers, without its header."""
    program = tmp_path / tool
    program.write_text(f"#!/bin/sh\nprintf '{printed}'\n")
    program.chmod(0o755)
    variables(PATH=str(tmp_path))
    assert len(find_gpus().driver) == 2


def test_a_driver_tool_that_fails_says_nothing(tmp_path, variables):
    """A broken nvidia-smi is no driver; torch's own view is still there."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho broken\nexit 9\n")
    program.chmod(0o755)
    variables(PATH=str(tmp_path))
    found = find_gpus()
    assert found.driver == ()
    assert found.torch is not None


def test_one_process_has_none_to_talk_to(variables, tmp_path):
    """No process group is made for a launch of one."""
    variables(WORLD_SIZE="1", RANK="0")
    assert try_exchange(tmp_path, timeout_seconds=1) is None


def test_a_rank_that_none_answers_gives_up_in_time(variables, tmp_path):
    """A missing partner is an answer after the time limit, not a hang."""
    for name, value in {
        "WORLD_SIZE": "2",
        "RANK": "1",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "1",
    }.items():
        variables(**{name: value})
    found = try_exchange(tmp_path, timeout_seconds=2)
    assert found is not None
    assert found.error
