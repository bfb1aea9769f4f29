"""The commands status, logs and resubmit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.cluster.chain import chain as chains
from finetune.cluster.chain.chain import AttemptEvent, Submission, append_event, append_submission
from tests.support.artefacts import finished
from tests.support.chain_by_hand import KEYS, write_chain_by_hand
from tests.support.results import train_result


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
    first, header, prepare, train, evaluate, *_ = capsys.readouterr().out.splitlines()
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
    assert evaluate.endswith("not started: train failed")


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


def test_all_chains_are_one_question_and_finished_ones_none(chain, capsys, fake_slurm):
    """`status --all` asks the controller once for what is left, and not for what is finished."""
    done = write_chain_by_hand(Path(chain.store), steps=3)
    append_submission(done, Submission("prepare", "21", chains.now()))
    fake_slurm.knows("13", f"JobId=13 JobState=PENDING Reason=Priority Command={chain.folder}/x")
    before = len(fake_slurm.calls())
    assert main(["status", "--all"]) == 0
    assert fake_slurm.calls()[before:] == [("scontrol", "--all", "show", "job", "-o")]
    assert capsys.readouterr().out.count(": waiting; 1 of 3 jobs done") == 1
    for name, key in KEYS.items():
        facts = train_result(steps=3, loss_last=1.0, tokens_per_second=1.0)
        finished(Path(chain.store) / name / key, result=facts)
    before = len(fake_slurm.calls())
    assert main(["status", "--all"]) == 0
    assert fake_slurm.calls()[before:] == []
    assert capsys.readouterr().out.count(": done; 3 jobs") == 2


def test_verbose_shows_partition_time_limit_and_what_the_site_said(chain, capsys, fake_slurm):
    """A site may move a job to another partition and charge an account: -v has both."""
    said = "JobState=PENDING Reason=Priority Partition=low TimeLimit=04:00:00"
    fake_slurm.knows("13", f"JobId=13 {said} Command={chain.folder}/x")
    note = "charged to research, 12.5 of 5000 SU left"
    append_submission(chain, Submission("evaluate", "13", chains.now(), notes=(note,)))
    assert main(["status"]) == 0
    assert "low" not in capsys.readouterr().out
    assert main(["status", "-v"]) == 0
    out = capsys.readouterr().out
    assert "evaluate: job 13, partition low, time limit 04:00:00" in out
    assert f"the site at submission: {note}" in out


def test_a_stopped_training_is_not_called_cancelled(chain, capsys, fake_slurm):
    """Slurm cancels what depends on it; the chain is what its cause is, and says how to go on."""
    stopped = AttemptEvent("end", chains.now(), "12", 0, outcome="stopped", reason="asked to stop")
    append_event(chain, "train", stopped)
    gone = "JobState=CANCELLED Reason=DependencyNeverSatisfied"
    fake_slurm.knows("13", f"JobId=13 {gone} Command={chain.folder}/x")
    assert main(["status"]) == 0
    first, _, _, _, evaluate, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith(
        f"{chain.id}: stopped; 1 of 3 jobs done. `finetune resubmit {chain.id}`"
    )
    assert evaluate.endswith("not started: train was stopped")


def test_a_refused_submission_is_not_read_as_a_cancel_of_the_user(chain, capsys):
    """Jobs that were cancelled for it say why."""
    chains.append_cancellation(chain, ["13"], because="Slurm refused train")
    assert main(["status"]) == 0
    evaluate = capsys.readouterr().out.splitlines()[4]
    assert "cancelled (Slurm refused train) at " in evaluate
    assert "finetune cancel" not in evaluate
