"""The doctor's judgement: each failure has a remedy, and healthy systems have no complaint."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.cluster.doctor import diagnosis, probe
from finetune.cluster.doctor.hardware import Exchange, Gpus
from finetune.cluster.doctor.probe import Machine, Probe, Shared
from finetune.pipeline import storage
from finetune.pipeline.storage import Lost, Quota, Space
from finetune.pipeline.store import Request, Store
from finetune.spec.site import Site

CPU_TORCH = "2.13.0+cpu (CPU only)"
CUDA_TORCH = "2.13.0 (CUDA 12.8)"


def machine(host: str = "node1", **changes) -> Machine:
    facts = {
        "host": host,
        "python": "3.12.1",
        "packages": {"torch": "2.13.0", "rich": "14.0"},
        "gpus": Gpus(torch=CUDA_TORCH, seen=2, names=("H100", "H100"), driver=("H100, 570",) * 2),
        "store": Shared(token_seen=True, clock_skew_seconds=0.01),
        "cpus": 8,
    }
    return Machine(**(facts | changes))


def ranks(count: int, *, hosts: int = 1, **changes) -> list[Probe]:
    facts = {"exchange": Exchange(backend="nccl", ranks=count, seconds=0.002)} | changes
    return [Probe(rank=i, host=f"node{1 + i * hosts // count}", **facts) for i in range(count)]


def site(**changes) -> Site:
    return Site(**({"name": "here", "description": "d"} | changes))


def test_a_healthy_cluster_is_ok():
    """Nothing is complained of where nothing is wrong."""
    two = [machine(), machine("node2")]
    findings = [
        diagnosis.answers(ranks(4, hosts=2), nodes=2, ranks_per_node=2, error=""),
        diagnosis.gpus(two, expected=2),
        diagnosis.exchanges(ranks(4, hosts=2)),
        diagnosis.processors(two, cpus_per_rank=8),
        diagnosis.shared_store("/store", machine("login", gpus=None), two),
        diagnosis.clocks(two),
        diagnosis.versions(machine("login"), two, same_python=True),
        diagnosis.space(Space(2**40, 10**6)),
        diagnosis.space(Space(2**40, None)),
        diagnosis.quotas([]),
        diagnosis.purged([]),
        diagnosis.purge_soon(25.0, purge_days=30),
    ]
    assert [f for f in findings if f.state != "ok" or f.advice] == []


@pytest.mark.parametrize(
    ("gpus", "words"),
    [
        (Gpus(torch=CPU_TORCH, driver=("H100, 570",)), "CPU build of torch"),
        (Gpus(torch=CUDA_TORCH, driver=("V100, 470",), error="no kernel image"), "too new"),
        (Gpus(torch=CUDA_TORCH), "no driver answers: request GPUs"),
        (Gpus(error="No module named 'torch'"), "install torch on the nodes"),
        (Gpus(torch=CUDA_TORCH, seen=1, driver=("H100, 570",)), "fewer GPUs are requested"),
    ],
)
def test_gpus_that_torch_cannot_use(gpus, words):
    """Build, driver and request have different messages."""
    found = diagnosis.gpus([machine(), machine("node2", gpus=gpus)], expected=2)
    assert found.state == "failed"
    assert found.found.startswith("node2: ")
    assert words in found.advice


def test_no_gpu_is_fine_where_none_is_asked_for():
    """A CPU cluster is no broken GPU cluster."""
    found = diagnosis.gpus([machine(gpus=Gpus(torch=CPU_TORCH))], expected=0)
    assert (found.state, found.found) == ("ok", "none; training runs on CPUs")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("no answer in 600 s", "--wait"),
        ("srun: error: Invalid account or account/partition combination specified", "associations"),
        ("srun: error: Invalid qos specification", "set a QOS"),
        ("sbatch: error: invalid partition specified: x", "`sinfo -s` lists"),
        ("Requested node configuration is not available", "no available node"),
        ("ModuleNotFoundError: No module named 'finetune'", "jobs' Python has no finetune"),
        ("bash: line 2: module: command not found", "login shell"),
        ("something new", "see the error; lines"),
    ],
)
def test_nodes_that_do_not_answer(error, words):
    """The error of srun is shown, with what to do about it."""
    found = diagnosis.answers(ranks(1), nodes=2, ranks_per_node=1, error=error)
    assert found.state == "failed"
    assert "1 of 2 ranks on 1 of 2 nodes answered" in found.found
    assert error in found.found
    assert words in found.advice


def test_all_processes_on_one_node_is_not_two_nodes():
    """As many answers as ranks are not enough; they come from as many nodes as asked for."""
    found = diagnosis.answers(ranks(2), nodes=2, ranks_per_node=1, error="")
    assert found.state == "failed"


def test_the_telling_line_is_the_program_s_not_srun_s():
    """srun's `Exited with exit code` hides nothing that the program said before."""
    errors = (
        "srun: job 7 queued and waiting\nTraceback (most recent call last):\n"
        "ModuleNotFoundError: No module named 'x'\nsrun: error: node1: task 0: Exited with code 1\n"
    )
    assert diagnosis.main_line(errors) == "ModuleNotFoundError: No module named 'x'"
    assert diagnosis.main_line("srun: error: Invalid qos\n") == "srun: error: Invalid qos"
    own = "doctor: attempt 0 of job 7 on node1\ndoctor: exit code 1: fail, 2026\n"
    own += "doctor: `finetune attempt start` gave no answer (exit code 1)\n"
    assert diagnosis.main_line(f"no such image\n{own}") == "no such image"
    assert diagnosis.main_line("") == ""


def test_ranks_that_cannot_talk():
    """One broken rank is enough; the variables to set are named."""
    broken = Probe(
        rank=3, host="node2", exchange=Exchange(backend="nccl", ranks=4, error="timed out")
    )
    found = diagnosis.exchanges([*ranks(3), broken])
    assert found.state == "failed"
    assert "1 of 4 ranks: nccl on node2: timed out" in found.found
    assert "NCCL_SOCKET_IFNAME" in found.advice


def on_own_gpus(count: int) -> list[Probe]:
    made = [
        Exchange(backend="cpu:gloo,cuda:nccl", ranks=count, seconds=0.002, cpu_seconds=0.03, gpu=g)
        for g in map(str, range(count))
    ]
    return [Probe(rank=i, host="node1", exchange=exchange) for i, exchange in enumerate(made)]


def test_gpus_and_cpus_are_both_tried():
    """Training talks over both, so both times are shown."""
    found = diagnosis.exchanges(on_own_gpus(4))
    assert found.state == "ok"
    assert "16 MiB in 2 ms between GPUs, 30 ms between CPUs" in found.found


def test_two_ranks_on_one_gpu_are_noticed():
    """Each rank sees one GPU, and it is the same one."""
    both = on_own_gpus(2)[0]
    found = diagnosis.exchanges([both, both.model_copy(update={"rank": 1})])
    assert (found.state, found.found) == ("failed", "two ranks on node1 have the same GPU")
    assert not diagnosis.own_gpus([both, both])


def test_ranks_that_see_their_own_gpu_only_have_enough():
    """One visible GPU a rank is enough if each has another one."""
    assert diagnosis.own_gpus(on_own_gpus(4))
    assert not diagnosis.own_gpus(ranks(4))
    assert not diagnosis.own_gpus([])


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({}, "ok", "right"),
        ({"missing_kernels": ("V100 is sm_70, torch has sm_75 sm_80",)}, "failed", "V100 is sm_70"),
        ({"bf16_error": "RuntimeError: CUBLAS"}, "failed", "bf16: node1: RuntimeError: CUBLAS"),
        ({"bitsandbytes_error": "OSError: libbnb"}, "warning", "bitsandbytes: node1: OSError"),
    ],
)
def test_what_a_gpu_computes_is_tried(changes, state, words):
    """A build without code for the card, broken bf16 and missing 4 bit differ."""
    gpus = Gpus(torch=CUDA_TORCH, seen=1, names=("V100",), **changes)
    found = diagnosis.arithmetic([machine(gpus=gpus)])
    assert found is not None
    assert (found.state, words in found.found) == (state, True)
    assert bool(found.advice) == (state != "ok")


def test_arithmetic_of_gpus_is_no_finding_without_one():
    """A CPU cluster hears nothing of bf16."""
    assert diagnosis.arithmetic([machine(gpus=Gpus(torch=CPU_TORCH))]) is None


def test_fewer_cpus_than_asked_for():
    """A process bound to one core is noticed."""
    found = diagnosis.processors([machine(cpus=1)], cpus_per_rank=8)
    assert (found.state, found.found) == ("warning", "node1: 1 per rank, but 8 requested")


def test_a_store_that_is_not_shared_or_not_writable():
    """Not shared and not writable have different messages, with the nodes."""
    login = machine("login")
    blind = machine("node2", store=Shared(token_seen=False))
    found = diagnosis.shared_store("/tmp/s", login, [machine(), blind])
    assert (found.state, "node2 do not see" in found.found) == ("failed", True)
    full = machine("node1", store=Shared(error="/s/doctor: Disk quota exceeded"))
    found = diagnosis.shared_store("/s", login, [full])
    assert (found.state, "Disk quota exceeded" in found.found) == ("failed", True)


@pytest.mark.parametrize(("skew", "state"), [(2.0, "ok"), (-9.0, "warning"), (300.0, "failed")])
def test_clocks_that_differ(skew, state):
    """Seconds are reported, minutes are a failure: leases go by clocks."""
    off = machine("node2", store=Shared(clock_skew_seconds=skew))
    found = diagnosis.clocks([machine(), off])
    assert found.state == state
    assert state == "ok" or f"node2: {skew:+.0f} s" in found.found


def test_versions_that_differ_between_nodes_or_from_here():
    """Nodes must agree; the login node must, unless jobs have an environment of their own."""
    old = machine("node2", packages={"torch": "2.12.0"})
    found = diagnosis.versions(machine("login"), [machine(), old], same_python=True)
    assert found.state == "failed"
    assert "rich 14.0 on node1, missing on node2" in found.found
    assert "torch 2.13.0 on node1, 2.12.0 on node2" in found.found
    assert diagnosis.versions(machine("login"), [old], same_python=True).state == "failed"
    assert diagnosis.versions(machine("login"), [old], same_python=False).state == "warning"


@pytest.mark.parametrize(
    ("room", "state"),
    [
        (Space(2**30, 10**6), "warning"),
        (Space(2**20, None), "failed"),
        (Space(2**40, 5_000), "warning"),
        (Space(2**40, 10), "failed"),
    ],
)
def test_little_space_or_few_inodes(room, state):
    """Bytes and files run out separately."""
    found = diagnosis.space(room)
    assert (found.state, bool(found.advice)) == (state, True)


@pytest.mark.parametrize(
    ("quota", "state"),
    [
        (Quota("/projects", 10, 100, 499_000, 500_000), "warning"),
        (Quota("/projects", 200, 100, 1, None), "failed"),
        (Quota("/projects", 10, 100, 1, None), "ok"),
        (Quota("/projects", 10, None, 1, None), "ok"),
    ],
)
def test_quotas_of_bytes_and_files(quota, state):
    """The nearer limit counts."""
    assert diagnosis.quotas([Quota("/home", 1, 100, 0, None), quota]).state == state


def test_quotas_are_read_from_lustre_and_nfs():
    """Header, stars at exceeded limits, wrapped long paths and several file systems."""
    nfs = (
        "Disk quotas for user a (uid 7):\n"
        "     Filesystem   blocks   quota   limit   grace   files   quota   limit   grace\n"
        "nas:/home  1000  2000  3000  0  10  0  0  0\n"
        "nas:/projects  5000* 4000  4000  0  20* 10  15  0\n"
    )
    assert storage.parse_quotas(nfs) == [
        Quota("nas:/home", 1000 * 1024, 3000 * 1024, 10, None),
        Quota("nas:/projects", 5000 * 1024, 4000 * 1024, 20, 15),
    ]
    lustre = "/lustre/very/long/path\n      2048  0  4096  -  7  100  0  -\n"
    assert storage.parse_quotas(lustre) == [
        Quota("/lustre/very/long/path", 2048 * 1024, 4096 * 1024, 7, 100)
    ]
    assert storage.parse_quotas("quota: no quota on this disk") == []


def test_the_site_s_quota_commands_are_asked(tmp_path, variables):
    """`lfs quota` first, `quota` where it says nothing; a command that is missing says nothing."""
    variables(PATH=str(tmp_path))
    assert storage.quotas_of(tmp_path) == []
    _program(tmp_path / "quota", "echo 'nas:/home 1 2 3 0 4 5 6 0'")
    assert storage.quotas_of(tmp_path) == [Quota("nas:/home", 1024, 3072, 4, 6)]
    _program(tmp_path / "lfs", "echo '/lustre 8 0 9 - 1 0 0 -'")
    assert [q.file_system for q in storage.quotas_of(tmp_path)] == ["/lustre"]


def _program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


@pytest.fixture
def store(tmp_path):
    """A store with one finished artefact of two files."""
    found = Store(tmp_path / "store")

    def fill(folder: Path) -> dict[str, int]:
        (folder / "a.npy").write_bytes(b"a")
        (folder / "b.npy").write_bytes(b"bb")
        return {}

    request = Request(stage="prepare", key="k1", name="n", content={}, inputs={})
    found.build(request, fill)
    (found.root / "chains" / "c1").mkdir(parents=True)
    return found


def test_purged_files_are_named_with_the_command_that_helps(store):
    """An artefact without its files, or without its manifest, is a failure; a chain is none."""
    assert storage.lost_artifacts(store) == []
    (store.root / "prepare/k1/a.npy").unlink()
    assert storage.lost_artifacts(store) == [Lost("prepare", "k1", ("a.npy",))]
    found = diagnosis.purged(storage.lost_artifacts(store))
    assert (found.state, "finetune runs --remove prepare/k1" in found.advice) == ("failed", True)
    (store.root / "prepare/k1/manifest.json").unlink()
    assert storage.lost_artifacts(store) == [Lost("prepare", "k1", ("manifest.json",))]


def test_a_purge_that_comes_near_is_a_warning(store):
    """The file that was unused for longest decides."""
    then = time.time() - 25 * 86400
    os.utime(store.root / "prepare/k1/a.npy", (then, then))
    days = storage.days_to_purge(store, purge_days=30)
    assert days == pytest.approx(5, abs=0.1)
    found = diagnosis.purge_soon(days, purge_days=30)
    assert (found.state, "first file in 5 days" in found.found) == ("warning", True)
    assert storage.days_to_purge(Store(store.root / "none"), purge_days=30) is None


def test_findings_survive_a_mixed_log(capsys):
    """Long findings of several ranks, in short lines between other output, come back whole."""
    sent = [
        Probe(rank=i, host="n", machine=machine(packages={f"p{j}": "1" for j in range(400)}))
        for i in (1, 0)
    ]
    for one in sent:
        probe._print(one)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 1000
    half = len(lines) // 2
    mixed = [line for pair in zip(lines[half:], lines[:half], strict=True) for line in pair]
    assert probe.parse("\n".join(["noise", *mixed, "noise"])) == sorted(sent, key=lambda p: p.rank)
    assert probe.parse("\n".join(lines[:-1])) == sent[:1]


def test_this_machine_is_examined(tmp_path, capsys):
    """Without a site the doctor looks at this machine, leaves nothing behind and exits with 0."""
    assert main(["doctor", "--json", "--store", str(tmp_path / "store")]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    checks = {row["check"]: row["state"] for row in rows}
    assert {"packages", "GPUs", "store", "clocks", "space", "quotas", "artefacts"} <= set(checks)
    assert not list((tmp_path / "store").rglob("*doctor-*"))


def test_a_failure_is_exit_code_1(store, capsys):
    """A failed check fails the command, with a remedy."""
    (store.root / "prepare/k1/a.npy").unlink()
    assert main(["doctor", "--store", str(store.root)]) == 1
    assert "finetune runs --remove prepare/k1" in capsys.readouterr().out


def test_unfilled_placeholders_are_reported_before_anything_is_asked(tmp_path, variables, capsys):
    """A site that still has placeholders is not tried."""
    variables(XDG_CONFIG_HOME=str(tmp_path))
    path = tmp_path / "here.yaml"
    path.write_text("name: here\ndescription: d\nsbatch: ['#SBATCH --account=<account>']\n")
    assert main(["doctor", "--site", str(path)]) == 2
    assert "placeholders without a value: account" in capsys.readouterr().err


def test_without_slurm_a_site_cannot_be_examined(tmp_path, variables, capsys):
    """The missing commands are named."""
    variables(XDG_CONFIG_HOME=str(tmp_path), PATH=str(tmp_path))
    path = tmp_path / "here.yaml"
    path.write_text("name: here\ndescription: d\n")
    assert main(["doctor", "--site", str(path), "--store", str(tmp_path)]) == 1
    assert "not found: sbatch, srun" in " ".join(capsys.readouterr().out.split())
