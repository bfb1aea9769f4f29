"""Logs are cut by attempt and followed as they grow."""

from __future__ import annotations

import pytest

from finetune.cluster.chain import chain as chains
from finetune.cluster.chain.chain import AttemptEvent, Submission, append_event, append_submission
from finetune.cluster.follow import logs
from finetune.errors import RecipeError
from tests.support.chain_by_hand import write_chain_by_hand


@pytest.fixture
def chain(tmp_path, fake_slurm, constants):
    constants(logs, POLL_SECONDS=0.01, LOOK_SECONDS=0.0)
    return write_chain_by_hand(tmp_path / "store", steps=3)


def start(chain, *, job_id, log_bytes):
    event = AttemptEvent("start", chains.now(), job_id, 0, log_bytes=log_bytes)
    append_event(chain, "train", event)


def test_one_attempt_is_cut_out_of_a_log_that_a_requeue_appended_to(chain):
    """The second start of a job begins where the log was when it started."""
    append_submission(chain, Submission("train", "7", chains.now()))
    chain.log_path("train", "7").write_text("erste\nzweite\n")
    start(chain, job_id="7", log_bytes=0)
    start(chain, job_id="7", log_bytes=len("erste\n"))
    texts = [[p.text() for p in logs.parts_of(chain, "train", attempt=n)] for n in (1, 2)]
    assert texts == [["erste\n"], ["zweite\n"]]
    with pytest.raises(RecipeError) as refused:
        logs.parts_of(chain, "train", attempt=3)
    (found,) = refused.value.problems
    assert (found.code, found.facts) == ("no-such-attempt", {"count": 2, "job": "train"})


def test_a_log_is_followed_into_the_job_that_continues(chain):
    """After the end of one job's log comes that of the next, and following ends with the job."""
    append_submission(chain, Submission("train", "7", chains.now()))
    chain.log_path("train", "7").write_text("a\nb\nc\n")
    notices, read = [], []
    following = logs.follow(chain, "train", lines=2, notify=notices.append)
    read.append(next(following))
    with chain.log_path("train", "7").open("a") as file:
        file.write("d\n")
    append_submission(chain, Submission("train", "8", chains.now()))
    append_event(
        chain, "train", AttemptEvent("end", chains.now(), "8", 0, outcome="failed", reason="why")
    )
    chain.log_path("train", "8").write_text("e\n")
    read += list(following)
    assert "".join(read) == "b\nc\nd\ne\n"
    assert "--- train continues in job 8 ---" in notices
    assert notices[-1] == "--- train: failed; why ---"


def test_a_character_that_is_half_written_is_not_torn(chain):
    """The two halves of a letter that arrive apart are one letter."""
    append_submission(chain, Submission("train", "7", chains.now()))
    path = chain.log_path("train", "7")
    letter = "ɓ".encode()
    path.write_bytes(b"a" + letter[:1])
    reader = logs._Reader(logs.Part(path, "7"), lines=None)
    first = reader.rest()
    with path.open("ab") as file:
        file.write(letter[1:])
    assert first + reader.rest() == "aɓ"


def test_a_log_that_became_shorter_is_read_from_its_beginning(chain):
    """A job that starts its log anew is still followed."""
    path = chain.log_path("train", "7")
    path.write_text("long and old\n")
    reader = logs._Reader(logs.Part(path, "7"), lines=None)
    reader.rest()
    path.write_text("new\n")
    assert reader.rest() == "new\n"
