"""A rendezvous that cannot come about ends with the reason, and soon."""

from __future__ import annotations

import socket
import time
from datetime import timedelta

import pytest

from finetune.errors import RendezvousError, Stopped
from finetune.launch.ranks import LAUNCH, Ranks
from finetune.train.ranks import meeting as module
from finetune.train.ranks.meeting import Meeting
from finetune.train.stop import StopFlag

pytestmark = pytest.mark.heavy
FIRST = Ranks(rank=0, world=2, local_rank=0, local_world=2, launched=True)
SECOND = Ranks(rank=1, world=2, local_rank=1, local_world=2, launched=True)


def test_a_port_in_use_ends_at_once(variables):
    """Of a launcher that names a port: not after ten minutes of all GPUs."""
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        variables(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        begun = time.monotonic()
        with pytest.raises(RendezvousError) as refused:
            Meeting(FIRST, None, say=print).wait(stop=StopFlag(), timeout=timedelta(minutes=10))
    assert time.monotonic() - begun < 60
    assert "EADDRINUSE" in str(refused.value)
    assert f"127.0.0.1:{port}" in str(refused.value)


def test_missing_ranks_are_said_while_they_are_waited_for(tmp_path, variables, constants):
    """By number, with the time and the place."""
    constants(module, SILENT_SECONDS=0.2)
    variables(**{LAUNCH: "slurm-7-0-0"})
    said = []
    meeting = Meeting(FIRST, tmp_path / "r", say=lambda line: said.append(str(line)))
    with pytest.raises(RendezvousError) as refused:
        meeting.wait(stop=StopFlag(), timeout=timedelta(seconds=1))
    assert "missing: rank 1" in str(refused.value)
    assert len(said) == 1
    assert "waiting for 1 of 2 ranks" in said[0]
    assert "missing: rank 1" in said[0]
    assert "127.0.0.1:" in said[0]


def test_a_rank_without_rank_0_names_the_file_and_hears_a_stop(tmp_path, variables):
    """It looks at the file again and again, so that a signal is seen."""
    variables(**{LAUNCH: "slurm-7-0-0"})
    with pytest.raises(RendezvousError) as refused:
        Meeting(SECOND, tmp_path / "r", say=print).wait(
            stop=StopFlag(), timeout=timedelta(seconds=0.5)
        )
    assert str(tmp_path / "r") in str(refused.value)
    with pytest.raises(Stopped):
        Meeting(SECOND, tmp_path / "r", say=print).wait(
            stop=StopFlag("SIGUSR1"), timeout=timedelta(minutes=5)
        )


def test_a_rank_whose_time_ends_after_rank_0_gave_up_says_so(tmp_path, variables):
    """The store of rank 0 is gone then, and cannot say who is missing."""
    variables(**{LAUNCH: "slurm-7-0-0"})
    opened = Meeting(FIRST, tmp_path / "r", say=print)._connected()
    late = Meeting(SECOND, tmp_path / "r", say=print)
    late._store = late._connected()
    del opened
    with pytest.raises(RendezvousError) as refused:
        late.wait(stop=StopFlag(), timeout=timedelta(0))
    assert refused.value.codes == ("rendezvous-failed",)
    assert refused.value.problems[0].facts["address"].startswith("127.0.0.1:")
