"""A job chain finishes without help and with the same adapter after every event of a cluster."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.cluster.chain.chain import job_ids, read_submissions
from finetune.cluster.slurm import commands as slurm
from tests.cluster.chains import Line, make_line
from tests.cluster.waiting import wait_for
from tests.support.slurm_cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LONGER = {
    "max_steps: 4": "max_steps: 450",
    "validate_every_steps: 2": "validate_every_steps: 150",
    "checkpoint_every_steps: 1": "checkpoint_every_steps: 10",
}
"""Some seconds of training, so that there is something to disturb."""


@pytest.fixture(scope="module")
def undisturbed(running_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A chain that was left alone, from preparing to the release."""
    folder = tmp_path_factory.mktemp("undisturbed")
    line = make_line(folder / "it's $(here) ɗan", running_cluster, settings=LONGER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", running_cluster.environment["SLURM_CONF"])
        line.submit()
        assert line.wait_until_over().state == "COMPLETED", line.log("train")
    return line


@pytest.fixture
def fresh(undisturbed: Line, tmp_path: Path, cluster: Cluster) -> Callable[..., Line]:
    """Return a function that makes a project like `undisturbed`, with base and corpus done."""

    def make(**changes: str) -> Line:
        folder = tmp_path / "project"
        shutil.copytree(undisturbed.folder, folder, symlinks=True)
        for stage in ("train", "evaluate", "release", "chains"):
            shutil.rmtree(folder / ".finetune" / stage, ignore_errors=True)
        site = folder / "site.yaml"
        text = site.read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        site.write_text(text)
        return Line(folder, cluster)

    return make


def attempts(line: Line, name: str = "train") -> int:
    return sum(event.event == "start" for event in line.events(name))


def wait_until_further(line: Line, *, attempt: int, beyond: int = 0) -> int:
    """Wait until the nth attempt has trained on; return its newest step."""
    wait_for(lambda: attempts(line) >= attempt, seconds=90)
    line.wait_for_step(max(beyond, line.newest_step()) + 15)
    return line.newest_step()


def let_the_time_run_out(cluster: Cluster, job_id: str) -> None:
    """Stop the ranks without a word, so that they write nothing, and end the job's time."""
    cluster.run("scancel", "--signal=STOP", f"{job_id}.0")
    cluster.run("scontrol", "update", f"JobId={job_id}", "EndTime=now+1")  # looked at every 30 s


def second_node(line: Line) -> str:
    nodes = str(line.state("train").nodes)
    return line.cluster.run("scontrol", "show", "hostnames", nodes).split()[1]


def test_paths_of_any_characters_and_files_of_a_chain(undisturbed):
    """A quiet chain has one attempt and one log per job, and `status` states that it is done; the
    log of its last job ends with the report that `status` shows, too."""
    assert "$(here)" in str(undisturbed.store)
    names = [job.name for job in undisturbed.chain.jobs]
    assert names == ["prepare", "train", "evaluate", "release"]
    for name in names:
        assert [event.outcome for event in undisturbed.events(name)] == [None, "done"]
        assert attempts(undisturbed, name) == 1
        assert not list(undisturbed.chain.folder.glob(f"attempts/{name}-*"))
    shown = undisturbed.finetune("status").stdout
    assert shown.startswith(f"{undisturbed.chain.id}: done")
    for text in (shown, undisturbed.log("release")):
        assert re.search(r"hours charged: .* CPU-hours", text), text
        assert re.search(r'time_limit: "\d\d:\d\d:00" # asked 00:20:00, needs ', text), text
    assert "hours charged" not in undisturbed.log("train")
    again = undisturbed.finetune("submit", "recipes/tiny.yaml", "--site", "site.yaml")
    assert "everything is cached" in again.stdout
    assert len(list(undisturbed.store.glob("chains/*"))) == 1


def test_a_chain_survives_all_that_a_cluster_does_to_it(undisturbed, fresh, cluster):
    """A stop signal, a requeue, preemption, a killed process, the time limit, a rebooted and a
    crashed node, one after the other: the adapter is the same to the byte."""
    line = fresh(**{"partition=batch": "partition=low"})
    line.submit()
    job_id = job_ids(line.chain)["train"]

    def survive(event: Callable[..., object], *words: str) -> None:
        """Let something happen to an attempt that got further, and wait for the next one."""
        wait_until_further(line, attempt=1)
        before = attempts(line)
        event(*words)
        wait_for(
            lambda: attempts(line) > before,
            seconds=90,
            said=lambda: f"{line.state('train').state}\n{line.log('train')}",
        )

    survive(cluster.run, "scancel", "--batch", "--signal=USR1", job_id)
    survive(cluster.run, "scancel", "--signal=TERM", job_id)  # to the ranks alone
    survive(cluster.run, "scontrol", "requeue", job_id)
    survive(cluster.run, "srun", "-p", "high", "-N4", "--exclusive", "true")
    survive(cluster.run, "scancel", "--signal=KILL", f"{job_id}.0")
    survive(lambda: cluster.control("reboot", str(line.state("train").nodes)))
    survive(let_the_time_run_out, cluster, job_id)
    cluster.run("scontrol", "update", f"JobId={job_id}", "TimeLimit=20")
    survive(lambda: cluster.control("crash", str(line.state("train").nodes)))
    assert line.wait_until_over("train").state == "COMPLETED", line.log("train")

    assert set(job_ids(line.chain).values()) == {s.job_id for s in read_submissions(line.chain)}
    ends = [event for event in line.events("train") if event.event == "end"]
    # on a busy machine Slurm may kill an attempt before it has noted its end
    assert [e.outcome for e in ends].count("crashed") == 1, line.log("train")
    assert "stopped at its time limit" in [e.reason for e in ends]
    assert ends[-1].outcome == "done"
    assert attempts(line) >= 9
    assert attempts(line) >= len(ends) + 2  # two nodes died without a word
    same = {k: v for k, v in undisturbed.products().items() if k.startswith("train/")}
    assert line.products() | same == line.products()
    line.finetune("cancel")


def test_stops_at_start_up_and_during_evaluation(undisturbed, fresh, cluster):
    """Before the work, while Python starts, and during an evaluation: each attempt is
    repeated, and the release is the same to the byte."""
    line = fresh()
    line.submit()
    ids = job_ids(line.chain)
    wait_for(lambda: "attempt 0" in line.log("train"))
    cluster.run("scancel", "--batch", "--signal=USR1", ids["train"])  # `attempt start` still runs
    # attempt 0 may have come as far as to say that it runs
    wait_for(lambda: "train: running" in line.log("train").partition("attempt 1")[2])
    cluster.run("scancel", "--signal=TERM", ids["train"])  # torch is being imported
    wait_for(lambda: "evaluate: running" in line.log("evaluate"), seconds=120)
    cluster.run("scancel", "--batch", "--signal=USR1", ids["evaluate"])
    assert line.wait_until_over().state == "COMPLETED", line.log("evaluate")
    assert [e.outcome for e in line.events("train") if e.event == "end"].count("stopped") == 2
    assert [e.outcome for e in line.events("evaluate") if e.event == "end"] == ["stopped", "done"]
    assert "Traceback" not in line.log("train") + line.log("evaluate")
    assert line.products() == undisturbed.products()


def test_a_killed_rank_without_a_checkpoint_ends_the_chain_and_resubmit_resumes(
    undisturbed, fresh, cluster
):
    """Nothing was gained, so it is not tried again; what waits is cancelled, `status` says why."""
    line = fresh()
    line.submit("--set", "run.checkpoint_every_steps=1000")
    line.wait_for_step(1)
    cluster.run("scancel", "--signal=KILL", f"{job_ids(line.chain)['train']}.0")
    assert line.wait_until_over("train").state == "FAILED"
    assert line.wait_until_over("release").state == "CANCELLED"
    assert line.events("train")[-1].outcome == "crashed"
    assert "killed by SIGKILL" in line.finetune("status").stdout
    line.finetune("resubmit")
    line.wait_for_step(30)
    assert line.wait_until_over("train").state == "COMPLETED"
    same = {k: v for k, v in undisturbed.products().items() if k.startswith("train/")}
    assert line.products() == same
    line.finetune("cancel")


@pytest.mark.parametrize(
    "preempted",
    [pytest.param(False, marks=pytest.mark.slow), pytest.param(True, marks=pytest.mark.nightly)],
)
def test_a_site_without_requeueing_continues_in_new_jobs(undisturbed, fresh, cluster, preempted):
    """The next job continues, and the evaluation waits for it and not for the one that stopped."""
    changes = {"requeue: allowed": "requeue: forbidden"}
    changes |= {"partition=batch": "partition=low"} if preempted else {}
    line = fresh(**changes)
    line.submit()
    before = job_ids(line.chain)
    line.wait_for_step(30)
    if preempted:
        cluster.run("srun", "-p", "high", "-N4", "--exclusive", "true")
    else:
        cluster.run("scancel", "--batch", "--signal=USR1", before["train"])
    wait_for(lambda: job_ids(line.chain)["train"] != before["train"])
    after = job_ids(line.chain)
    assert read_submissions(line.chain)[-1].continues == before["train"]
    wait_for(lambda: after["train"] in (line.state("evaluate").dependency or ""), seconds=20)
    assert line.wait_until_over("evaluate", seconds=120).state == "COMPLETED", line.log("train")
    assert [e.outcome for e in line.events("train") if e.event == "end"] == ["stopped", "done"]
    same = {k: v for k, v in undisturbed.products().items() if k.startswith("train/")}
    assert line.products() | same == line.products()


def test_a_real_failure_is_final(fresh, cluster):
    """A loss that is not finite does not come back; what waits is cancelled, `status` says why."""
    line = fresh()
    line.submit("--set", "train.learning_rate=1e30", "--set", "train.warmup_steps=0")
    assert line.wait_until_over("train").state == "FAILED"
    assert line.wait_until_over("release").state == "CANCELLED"
    assert len(line.events("train")) == 2
    end = line.events("train")[-1]
    assert (end.outcome, end.exit_code) == ("failed", 1)
    assert end.reason
    assert "finite" in end.reason
    assert end.reason[:40] in line.finetune("status").stdout
    assert line.state("train").restarts == 0


def test_bad_data_fails_the_first_job(fresh, cluster):
    """A corpus that changed after submitting is noticed by the job, not trained on."""
    line = fresh()
    shutil.rmtree(line.store / "prepare")
    cluster.run("scontrol", "update", "PartitionName=batch", "State=DOWN")
    try:
        chain = line.submit()
        copy = chain.folder / "project/data_cards/lines.txt"
        copy.unlink()
        copy.write_text("something else\n")
    finally:
        cluster.run("scontrol", "update", "PartitionName=batch", "State=UP")
    assert line.wait_until_over("prepare").state == "FAILED"
    assert line.wait_until_over("release").state == "CANCELLED"
    assert line.events("prepare")[-1].exit_code == 2
    assert "sha256" in (line.events("prepare")[-1].reason or "")


def test_a_job_that_slurm_starts_too_early_fails_clearly(fresh, cluster):
    """Slurm takes a forgotten job for one that ended well; the inputs are looked for first."""
    line = fresh()
    chain = line.submit()
    line.wait_for_step(1)
    script = chain.folder / chain.job("evaluate").script
    job_id = slurm.submit(script, folder=chain.folder).job_id
    wait_for(lambda: not slurm.jobs([job_id])[job_id].is_active)
    assert slurm.jobs([job_id])[job_id].state == "FAILED"
    assert "is not in the store" in (chain.folder / f"logs/evaluate-{job_id}.log").read_text()
    line.finetune("cancel")


def test_two_nodes_survive_the_loss_of_a_rank_and_of_a_node(fresh, cluster, tmp_path):
    """With a rank on each of two nodes: a stop, one rank killed alone, and one node lost; the
    adapter is that of two ranks that were left alone, to the byte."""
    changes = {"nodes: 1": "nodes: 2"}
    shorter = ("--set", "train.max_steps=220")
    quiet = fresh(**changes)
    quiet.submit(*shorter)
    assert quiet.wait_until_over("train").state == "COMPLETED", quiet.log("train")
    quiet.finetune("cancel")
    expected = quiet.products()
    assert "2 ranks, DDP" in quiet.log("train")
    shutil.rmtree(quiet.folder)

    line = fresh(**changes)
    line.submit(*shorter)
    job_id = job_ids(line.chain)["train"]
    line.wait_for_step(20)
    cluster.run("scancel", "--batch", "--signal=USR1", job_id)
    step = wait_until_further(line, attempt=2)
    kill = ["pkill", "-KILL", "-f", "finetune train"]
    on = f"--nodelist={second_node(line)}"
    cluster.run("srun", "--overlap", f"--jobid={job_id}", on, "-N1", "-n1", *kill)
    wait_until_further(line, attempt=3, beyond=step)
    cluster.control("crash", second_node(line))
    assert line.wait_until_over("train", seconds=240).state == "COMPLETED", line.log("train")
    ends = [event for event in line.events("train") if event.event == "end"]
    assert [e.outcome for e in ends][:2] == ["stopped", "crashed"], line.log("train")
    assert "rank 1 was killed" in (ends[1].reason or "")
    assert line.products() == expected
    line.finetune("cancel")


def test_one_job_makes_every_stage_and_is_requeued(fresh: Callable[..., Line]) -> None:
    """`--one-job`: two ranks on two nodes train, are requeued, and one evaluates and releases; the
    adapter is that of a chain."""
    line = fresh(**{"nodes: 1": "nodes: 2"})
    line.submit("--one-job", "--set", "train.max_steps=60")
    wait_for(lambda: attempts(line, "run") >= 1, seconds=90)
    line.wait_for_step(15, seconds=120)
    line.cluster.run("scontrol", "requeue", job_ids(line.chain)["run"])
    assert line.wait_until_over("run", seconds=300).state == "COMPLETED", line.log("run")
    assert attempts(line, "run") == 2
    assert len(job_ids(line.chain)) == 1
    assert line.products()
    whole, run = map(json.loads, line.finetune("status", "--json").stdout.splitlines())
    first, second = run["attempts"]
    assert whole["charged"]["node_hours"] >= 2 * second["ran_seconds"] / 3600
    for attempt in (first, second):
        (training,) = attempt["training"]
        assert (attempt["allocated"]["nodes"], training["ranks"]) == (2, 2)
    assert first["training"][0]["steps"] >= 15
    assert second["training"][0]["outcome"] == "done"
    assert second["queued_seconds"] is None or second["queued_seconds"] >= 0
    assert sum(second["seconds_by_part"].values()) == pytest.approx(second["ran_seconds"], rel=0.05)
    assert second["peak_bytes"] > 2**26
    assert second["cpu_seconds"] > 0


def test_a_cancellation_that_saves_loses_no_step(fresh: Callable[..., Line]) -> None:
    """`cancel --save`: the job ends with a checkpoint at its newest step, nothing is requeued, and
    `resubmit` resumes from there."""
    line = fresh(**{"grace_seconds: 60": "grace_seconds: 90"})
    line.submit("--until", "train", "--set", "run.checkpoint_every_steps=400")
    wait_for(lambda: attempts(line) >= 1, seconds=90)
    line.wait_for_step(15, seconds=120)
    said = line.finetune("cancel", "--save").stdout
    assert "train: stopped; saved up to " in said, said + line.log("train")
    step = line.events("train")[-1].checkpoint_step
    assert step is not None
    assert step >= 15
    assert not line.state("train").is_active
    assert "resuming from the checkpoint at step" in line.finetune("resubmit").stdout
    line.finetune("cancel")
