"""The report at the end of a chain: what was used, what is charged, what to ask for next time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.cluster.chain.chain import (
    AttemptEvent,
    Chain,
    Submission,
    append_event,
    append_submission,
)
from finetune.cluster.follow.end_report import charged_line, report_lines
from finetune.cluster.follow.next_time import next_time
from finetune.cluster.follow.spent import Charged, JobAttempt, charged_of_records, spent_of
from finetune.cluster.slurm.accounting import Run, runs_of
from finetune.errors import ClusterError
from finetune.launch.outcome import Outcome
from tests.support.artefacts import finished
from tests.support.chain_by_hand import KEYS, write_chain_by_hand
from tests.support.results import train_result

GIB = 2**30
SCRIPT = """\
#!/bin/bash
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@60
#SBATCH --mem 64G
"""
GIVEN = {"nodes": 1, "cpus": 8, "gpus": 2}


def at(minute: int) -> str:
    return f"2026-01-01T{8 + minute // 60:02d}:{minute % 60:02d}:00+00:00"


def record(chain: Chain, name: str, event: str, minute: int, *, restart: int, **facts: Any) -> None:
    job_id = {"prepare": "11", "train": "12", "evaluate": "13"}[name]
    append_event(chain, name, AttemptEvent(event, at(minute), job_id, restart, **facts))  # type: ignore[arg-type]


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """A chain whose training was killed after 40 minutes, requeued, and then done in 60."""
    made = write_chain_by_hand(tmp_path / "store", steps=10)
    for number, name in enumerate(KEYS):
        append_submission(made, Submission(name, str(11 + number), at(0)))
    record(made, "prepare", "start", 2, restart=0, allocated={"nodes": 1, "cpus": 4, "gpus": 0})
    record(made, "prepare", "end", 8, restart=0, outcome="done", peak_bytes=3 * GIB)
    record(made, "train", "start", 10, restart=0, allocated=GIVEN)
    record(made, "train", "start", 60, restart=1, allocated=GIVEN)
    used = {"peak_bytes": 20 * GIB, "cpu_seconds": 3600.0 * 3}
    record(made, "train", "end", 120, restart=1, outcome="done", ran_seconds=3600.0, **used)
    (made.folder / "scripts/train.sh").write_text(SCRIPT)
    return made


def train_records(chain: Chain, **last: float) -> None:
    """Write the metrics of the two attempts."""
    start = {"kind": "start", "seconds": 300.0, "parts": {}, "ranks": 2, "device": "cuda"}
    start["gpu_memory_total_bytes"] = 80 * GIB
    step = {"kind": "train", "seconds": 600.0, "data_seconds": 30.0}
    lines = [
        start | {"step": 0, "launch": f"{chain.id}/train#1"},
        *(step | {"step": n} for n in (1, 2)),
        {"kind": "checkpoint", "step": 2, "seconds": 10.0},
        {"kind": "lost", "of": "train", "step": 3, "seconds": 600.0, "data_seconds": 30.0},
        start | {"step": 2, "launch": f"{chain.id}/train#2"},
        *(step | {"step": n} for n in (3, 4, 5)),
        step | {"step": 6, "gpu_utilization": 0.8, "gpu_memory_bytes": 30 * GIB},
        {"kind": "validation", "step": 6, "seconds": 240.0},
        {"kind": "checkpoint", "step": 6, "seconds": last.get("checkpoint", 10.0)},
        {"kind": "end", "step": 6, "outcome": "done", "seconds": 3300.0, "finish_seconds": 60.0},
    ]
    folder = Path(chain.store) / "train" / KEYS["train"]
    finished(folder, result=train_result(steps=6))
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))


def test_time_queued_is_not_time_of_the_jobs_before(chain: Chain) -> None:
    """Waiting counts from the moment a job could begin; after an unrecorded end it is unknown."""
    train_records(chain)
    (prepare,) = spent_of(chain).of("prepare")
    first, second = spent_of(chain).of("train")
    assert (prepare.queued, first.queued, second.queued) == (120.0, 120.0, None)
    assert (prepare.ran, first.ran, second.ran) == (360.0, None, 3600.0)
    assert (first.outcome, second.outcome) == (None, "done")


def test_a_killed_attempt_counts_what_its_metrics_show_and_the_hours_say_at_least(
    chain: Chain,
) -> None:
    """Hours after its last record are not known; the line names how many attempts lack an end."""
    train_records(chain)
    charged = spent_of(chain).charged
    killed = 300 + 3 * 600 + 10
    assert charged == Charged(
        "records",
        node_hours=pytest.approx((360 + killed + 3600) / 3600),
        cpu_hours=pytest.approx((4 * 360 + 8 * (killed + 3600)) / 3600),
        gpu_hours=pytest.approx(2 * (killed + 3600) / 3600),
        runs=3,
        incomplete=1,
    )
    assert "at least" in charged_line(charged)
    assert "1 of 3 attempts has no recorded end" in charged_line(charged)


def test_training_runs_that_share_a_job_are_charged_once(chain: Chain) -> None:
    """Two of a pack, of which the longer one ran 30 minutes on two GPUs: one GPU-hour."""
    pack = [
        JobAttempt("train.0", 1, "9_0", 0, at(0), ran=1800.0, allocated=GIVEN),
        JobAttempt("train.1", 1, "9_0", 0, at(0), ran=600.0, allocated=GIVEN),
    ]
    charged = charged_of_records(pack)
    assert (charged.gpu_hours, charged.runs, charged.incomplete) == (1.0, 1, 0)


def test_an_attempt_that_slurm_has_already_requeued_has_the_time_of_the_records(
    chain: Chain,
) -> None:
    """At that moment Slurm's running time is 0, and the allocation it shows is the next one's."""
    record(chain, "evaluate", "start", 130, restart=0, allocated={"nodes": 2, "cpus": 4})
    facts = {"ran_seconds": 0.0, "allocated": {"nodes": 1, "cpus": 1, "gpus": 1}}
    record(chain, "evaluate", "end", 140, restart=0, outcome="stopped", **facts)
    (attempt,) = spent_of(chain).of("evaluate")
    assert attempt.ran == 600.0
    assert attempt.allocated == {"nodes": 2, "cpus": 4, "gpus": 1}


def test_accounting_counts_every_run_of_a_requeued_job(chain: Chain) -> None:
    """Its hours replace the records'; a job of another folder with the same id is omitted."""
    printed = (
        "12|3000|billing=8,cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=64G,node=1||00:00:00|/c\n"
        "12.batch|3000|cpu=8,mem=64G,node=1|2000K|00:00:00|\n"
        "12|3600|billing=8,cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=64G,node=1||02:00:00|/c\n"
        f"12.0|3590|cpu=8,mem=64G,node=1|{30 * 2**20}K|02:00:00|\n"
        "12|9000|cpu=8,node=1||00:00:00|/elsewhere\n"
        "13|0|||00:00:00|/c\n"
    )
    asked: list[str] = []
    ask: Callable[..., str] = lambda *words: asked.extend(words) or printed  # type: ignore[func-returns-value] # noqa: E731
    runs = runs_of(["12", "13", "12"], is_own=lambda folder: folder == "/c", ask=ask)
    assert asked[0] == "--jobs=12,13"
    assert runs == [
        Run("12", 3000.0, GIVEN, peak_bytes=2000 * 1024),
        Run("12", 3600.0, GIVEN, peak_bytes=30 * GIB, cpu_seconds=7200.0),
    ]
    spent = spent_of(chain, runs=runs)
    assert (spent.charged.source, spent.charged.runs) == ("sacct", 2)
    assert spent.charged.gpu_hours == pytest.approx(2 * 6600 / 3600)


def test_without_an_accounting_database_the_records_count(chain: Chain) -> None:
    """sacct that refuses is no error of `status`."""

    def refuses(*_: str) -> str:
        raise ClusterError("Slurm accounting storage is disabled")

    assert runs_of(["12"], is_own=lambda _: True, ask=refuses) is None
    assert spent_of(chain, runs=None).charged.source == "records"


def test_the_next_request_is_the_measured_need_with_a_margin(chain: Chain) -> None:
    """Both attempts without the lost steps and with one start-up, in lines for the site file."""
    train_records(chain)
    advice = next_time(chain, spent_of(chain))
    need = (300 + 3 * 600 + 10) + 3600 - 600 - 300  # 80 minutes: 100 with the margin
    assert need * 1.25 / 60 == pytest.approx(100, abs=1)
    assert advice.yaml == [
        "prepare:",
        '  time_limit: "00:10:00" # asked 10, needs 6 min in one attempt',
        '  sbatch: ["#SBATCH --mem=4G"] # peak 3.0 GiB',
        "train:",
        '  time_limit: "01:45:00" # asked 04:00:00, needs 1 h 20 min in one attempt; '
        "or `finetune submit --time 01:45:00`",
        "  cpus_per_rank: 2 # asked 4, 1.5 busy on average",
        '  sbatch: ["#SBATCH --mem=50G"] # asked 64G, peak 20.0 GiB per rank, 2 ranks per node',
        "  # GPU of rank 0: memory peak 30.0 of 80.0 GiB; 38 GiB are enough, busy 80% of the time",
        "grace_seconds: 60 # asked 60, the longest checkpoint took 10.0 s",
    ]
    assert advice.missing == ("prepare: CPU time",)
    assert advice.grace_warning == ""


def test_a_checkpoint_that_nearly_used_up_the_grace_time_is_a_warning(chain: Chain) -> None:
    """45 of 60 seconds: a slower file system loses the steps of an attempt."""
    train_records(chain, checkpoint=45.0)
    advice = next_time(chain, spent_of(chain))
    assert "took 45 s of the 60 s of grace_seconds; raise it to 90" in advice.grace_warning


def test_the_report_has_a_row_per_attempt_and_names_what_was_not_measured(chain: Chain) -> None:
    """Without metrics there are no shares and no GPU, and nothing is zero that was not recorded."""
    spent = spent_of(chain)
    lines = report_lines(spent, next_time(chain, spent))
    assert lines[1].split() == ["job", "queued", "ran", "outcome", "lost", "steps"]
    assert lines[3].split() == ["train#1", "2", "min", "?", "no", "end", "noted"]
    assert lines[-1].startswith("not measured: prepare: CPU time; train: time, as no job of it")
    assert not any("GPU of rank 0" in line for line in lines)
    train_records(chain)
    spent = spent_of(chain)
    lines = report_lines(spent, next_time(chain, spent))
    assert lines[4].split()[:7] == ["train#2", "?", "1", "h", "00", "min", "done"]
    assert lines[4].split()[7:] == ["63%", "3%", "7%", "0%", "8%", "2%", "16%"]
    assert lines[3].split()[1:5] == ["2", "min", ">", "35"]
    assert lines[3].split()[-1] == "1"


def test_exit_records_carry_memory_and_cpu_time_into_the_end_of_an_attempt() -> None:
    """The largest of the ranks, and the sum of all; a killed rank leaves the sum unknown."""
    from finetune.cluster.job.used import used

    ranks = [Outcome(n, 0, "", peak_bytes=100 + n, cpu_seconds=2.5) for n in (0, 1)]
    assert used(ranks, number_of_ranks=2) == {"peak_bytes": 101, "cpu_seconds": 5.0}
    assert used(ranks, number_of_ranks=3) == {"peak_bytes": 101, "cpu_seconds": None}
