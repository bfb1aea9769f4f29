"""The commands status, logs and resubmit."""

from __future__ import annotations

import json

import pytest

from finetune.cli import main
from finetune.cluster.chain import chain as chains
from finetune.cluster.chain.chain import AttemptEvent, Submission, append_event, append_submission
from tests.support.artefacts import finished
from tests.support.chain_by_hand import KEYS, write_chain_by_hand


@pytest.fixture
def chain(tmp_path, fake_slurm, variables):
    """A chain whose training failed; Slurm has forgotten it."""
    variables(FINETUNE_STORE=str(tmp_path / "store"))
    made = write_chain_by_hand(tmp_path / "store", steps=1200)
    finished(tmp_path / "store/prepare" / KEYS["prepare"])
    partial = tmp_path / "store/train" / f"{KEYS['train']}.partial"
    partial.mkdir(parents=True)
    record = {"kind": "train", "step": 340, "loss": 1.8421, "tokens": 82600, "seconds": 2.0}
    (partial / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    for number, name in enumerate(KEYS):
        append_submission(made, Submission(name, str(11 + number), chains.now()))
    for event, outcome in (("start", None), ("end", "failed")):
        append_event(
            made,
            "train",
            AttemptEvent(event, chains.now(), "12", 0, outcome=outcome, reason="no memory"),
        )
    made.log_path("train", "12").write_text("step 339\nstep 340\n")
    return made


def test_status_is_one_line_a_job_with_columns_under_each_other(chain, capsys):
    """The first line has the state of the chain and what to type; numbers stand right-aligned."""
    assert main(["status"]) == 0
    first, header, prepare, train, evaluate = capsys.readouterr().out.splitlines()
    assert first == (
        f"{chain.id}: failed; 1 of 3 jobs done; train failed: no memory. "
        f"`finetune resubmit {chain.id}` submits the rest"
    )
    assert prepare.split() == ["prepare", "done"]
    assert train.split()[:5] == ["train", "failed", "340/1200", "1.842", "41,300"]
    for column in ("step", "loss", "tokens/s", "left"):
        end = header.index(column) + len(column)
        assert train[end - 1] != " "
        assert train[end : end + 2] == "  "
    assert evaluate.endswith("not started: train failed or was cancelled")


def test_machines_get_numbers_not_texts(chain, capsys):
    """--json: one object for the chain, one for each job."""
    assert main(["status", "--json"]) == 0
    whole, _, train, _ = map(json.loads, capsys.readouterr().out.splitlines())
    assert (whole["chain"], whole["state"]) == (chain.id, "failed")
    wanted = {"step": 340, "total_steps": 1200, "loss": 1.8421, "tokens_per_second": 41300.0}
    assert {key: train[key] for key in wanted} == wanted
    assert train["seconds_left"] == 1720.0


@pytest.mark.parametrize(
    "words", [["train"], [], ["CHAIN"], ["CHAIN", "train"], ["FOLDER", "train"]]
)
def test_logs_understand_a_job_a_chain_or_both(chain, capsys, words):
    """A single word may be a job or a chain; without any, the failed job is shown."""
    place = {"CHAIN": chain.id[:-2], "FOLDER": str(chain.folder)}
    assert main(["logs", *(place.get(word, word) for word in words), "-n", "1"]) == 0
    assert capsys.readouterr().out == "step 340\n"


def test_a_job_that_has_written_nothing_says_why(chain, capsys):
    """There is no log, and the state of the job is shown instead."""
    assert main(["logs", "evaluate"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "has no log output yet; cancelled: not started" in said.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["logs", "nothing"], "there is no chain"),
        (["logs", "CHAIN", "nothing"], "its jobs: prepare, train, evaluate"),
        (["logs", "train", "--attempt", "2"], "has 1 attempt"),
        (["logs", "train", "-f", "--attempt", "1"], "give one of --attempt, -f"),
        (["resubmit", "--overlay", "mine.yaml"], "--site"),
        (["status", "other"], "there is no chain"),
    ],
)
def test_mistakes_are_answered_with_what_there_is(chain, capsys, words, says):
    """Exit code 2 and a sentence, never a traceback."""
    assert main([chain.id if word == "CHAIN" else word for word in words]) == 2
    assert says in capsys.readouterr().err


def test_cancelling_without_slurm_is_a_clear_error(chain, capsys, fake_slurm):
    """Nothing is noted as cancelled when Slurm could not be asked."""
    fake_slurm.refuses("squeue", "Unable to contact slurm controller")
    assert main(["cancel"]) == 1
    assert "Unable to contact" in capsys.readouterr().err
    assert chains.read_cancellations(chain) == []
