"""Leases: live holders are waited for, gone ones are not, and clocks decide nothing.

A thread stands for a machine: `machine(...)` makes a thread whose boot is another one, so that
builders in two threads cannot see each other's processes.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from finetune.cli import main
from finetune.errors import Stopped, StoreError
from finetune.pipeline import build as builds
from finetune.pipeline import builder, lease
from finetune.pipeline.store import Request, Store
from tests.support.problems import raises
from tests.support.surroundings import Constants, Variables

BEAT_SECONDS, STALE_SECONDS = 0.05, 0.5
REQUEST = Request(stage="prepare", key="k1", name="n", content={}, inputs={})
KEPT = Request(stage="train", key="k1", name="n", content={}, inputs={}, resumable=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, constants: Constants) -> None:
    constants(lease, HEARTBEAT_SECONDS=BEAT_SECONDS, STALE_SECONDS=STALE_SECONDS, POLL_SECONDS=0.02)
    for name in (builder.ATTEMPT, "SLURM_JOB_ID", "SLURM_RESTART_COUNT", "RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Return a function that starts `work` on a machine of its own; the test is one as well."""
    here = threading.local()
    monkeypatch.setattr(builder, "boot_id", lambda: getattr(here, "boot", "boot of the test"))
    pool = ThreadPoolExecutor(4)

    def start(boot: str, work: Callable[[], Any]) -> Future:
        def run() -> Any:
            here.boot = boot
            return work()

        return pool.submit(run)

    yield start
    pool.shutdown(wait=True)


def fill(workspace: Path) -> dict[str, Any]:
    (workspace / "a.txt").write_text("alpha")
    return {"n": 1}


def until(condition: Callable[[], Any], *, seconds: float = 10.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)
    return found


def lease_file(root: Path, *, stage: str = "prepare") -> Path:
    (root / stage).mkdir(parents=True, exist_ok=True)
    return root / stage / "k1.lease"


def facts(**changes: Any) -> dict[str, Any]:
    """Return the lease of a holder that cannot be seen from here."""
    made = asdict(builder.this_builder("0123456789ab", beat="000000000000"))
    return made | {"boot": "elsewhere", "host": "nodeb"} | changes


NOTHING_READABLE: dict[str, bytes] = {
    "empty": b"",
    "torn": json.dumps(facts()).encode()[:40],
    "zeros": bytes(4096),
    "binary": b"\xff\xfe\x00\x80",
    "null": b"null",
    "list": b"[]",
    "number": b"3",
    "words": b"hello",
    "incomplete": b'{"pid": 1}',
    "no host": json.dumps({k: v for k, v in facts().items() if k != "host"}).encode(),
    "deep": b"[" * 50_000,
    "huge": b" " * 100_000 + json.dumps(facts()).encode(),
    "number of digits": b'{"pid": ' + b"9" * 5000 + b"}",
    "NaN": json.dumps(facts(pid=float("nan"))).encode(),
    "no process": json.dumps(facts(pid=-1)).encode(),
    "no process number": json.dumps(facts(pid=2**40)).encode(),
    "a path as its nonce": json.dumps(facts(nonce="../../x")).encode(),
    "attempt that is none": json.dumps(facts(slurm=5)).encode(),
    "half an attempt": json.dumps(facts(slurm=["a"])).encode(),
    "lone surrogate": b'{"host": "\\ud800"}',
}


def timed(root: Path, said: list[str]) -> float:
    """Build in a store where a lease is; return how long it took."""
    began = time.monotonic()
    assert Store(root).build(REQUEST, fill, waiting=said.append).result == {"n": 1}
    assert sorted(p.name for p in (root / "prepare").iterdir()) == ["k1"]
    return time.monotonic() - began


def all_at_once(roots: list[Path]) -> dict[str, tuple[float, list[str]]]:
    """Build in all of these stores; return by name how long it took and what was said."""
    said: dict[str, list[str]] = {root.name: [] for root in roots}
    with ThreadPoolExecutor(len(roots)) as pool:
        times = list(pool.map(lambda root: timed(root, said[root.name]), roots))
    return {root.name: (took, said[root.name]) for root, took in zip(roots, times, strict=True)}


def test_an_unreadable_lease_is_waited_for_with_a_word_and_not_for_ever(tmp_path: Path) -> None:
    """It is a holder without a name; without a heartbeat it is gone."""
    for name, content in NOTHING_READABLE.items():
        lease_file(tmp_path / name).write_bytes(content)
    found = all_at_once([tmp_path / name for name in NOTHING_READABLE])
    for name, (seconds, said) in found.items():
        assert STALE_SECONDS <= seconds < 60 * STALE_SECONDS, name
        assert re.search(r"prepare/k1.*an unknown holder \(k1\.lease: ", said[0]), name
        assert f"rm {shlex.quote(str(tmp_path / name / 'prepare/k1.lease'))}" in said[0]
        assert len(said[0]) < 1000


def _as_folder(path: Path) -> None:
    path.mkdir()
    (path / "x").touch()


THINGS: dict[str, Callable[[Path], None]] = {
    "folder": _as_folder,
    "pipe": os.mkfifo,
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "device": lambda path: path.symlink_to("/dev/zero"),
}


def test_what_is_no_file_in_place_of_a_lease_stops_none(tmp_path: Path) -> None:
    """A folder, a pipe, a device, a link: reported, waited for like others, moved away."""
    for name, make in THINGS.items():
        make(lease_file(tmp_path / name))
    for name, (_, said) in all_at_once([tmp_path / name for name in THINGS]).items():
        assert "an unknown holder" in said[0], name


def test_a_lease_that_may_not_be_read_is_alive_as_long_as_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's lease under umask 077 shows its heartbeat by its time alone."""
    path = lease_file(tmp_path)
    path.write_text(json.dumps(facts()))

    def refuse(*_: Any, **__: Any) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(lease, "read_bytes", refuse)
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            os.utime(path)

    heart = threading.Thread(target=beat)
    heart.start()
    holder = lease.look(path)
    assert holder is not None
    assert holder.is_hidden
    assert lease.shows_life(holder, within_seconds=STALE_SECONDS)
    done.set()
    heart.join()
    holder = lease.look(path)
    assert holder is not None
    assert not lease.shows_life(holder, within_seconds=3 * BEAT_SECONDS)


YEAR_SECONDS = 365 * 86400.0


def test_a_silent_holder_is_waited_for_as_long_as_the_rule_says_whatever_its_date(
    tmp_path: Path,
) -> None:
    """A date ahead or behind, in the file's time and inside it, neither shortens nor prolongs."""
    roots = []
    for host in ("nodeb", socket.gethostname()):
        for ahead_seconds in (0.0, 200.0, -200.0, 86400.0, -86400.0, YEAR_SECONDS):
            roots.append(tmp_path / f"{host} {ahead_seconds}")
            path, when = lease_file(roots[-1]), time.time() + ahead_seconds
            since = time.strftime("%Y-%m-%d", time.gmtime(when))
            path.write_text(json.dumps(facts(since=since, host=host)))
            os.utime(path, (when, when))
    for name, (seconds, said) in all_at_once(roots).items():
        assert STALE_SECONDS <= seconds < 60 * STALE_SECONDS, name
        assert "process" in said[0], name
        assert "since" in said[0], name


@pytest.mark.parametrize("skew_seconds", [200, -200, 86400, -86400])
def test_two_that_cannot_see_each_other_build_once(
    tmp_path: Path, machine, monkeypatch: pytest.MonkeyPatch, skew_seconds: float
) -> None:
    """Same host name, other boots, clocks apart: one builds, the other waits and finds it."""
    real = time.time
    elsewhere = threading.local()
    monkeypatch.setattr(time, "time", lambda: real() + getattr(elsewhere, "skew", 0.0))
    builders: list[str] = []
    said: list[str] = []

    def build(name: str, skew: float) -> str:
        elsewhere.skew = skew

        def run(workspace: Path) -> dict[str, Any]:
            builders.append(name)
            time.sleep(2 * STALE_SECONDS)
            return fill(workspace)

        Store(tmp_path).build(REQUEST, run, waiting=said.append)
        return name

    first = machine("boot a", lambda: build("a", 0.0))
    until(lambda: builders)
    second = machine("boot b", lambda: build("b", skew_seconds))
    assert {first.result(20), second.result(20)} == {"a", "b"}
    assert builders == ["a"]
    assert said
    assert "since" in said[0]
    assert sorted(p.name for p in (tmp_path / "prepare").iterdir()) == ["k1"]


def _suspended(monkeypatch: pytest.MonkeyPatch, boot: str) -> threading.Event:
    """Let the machine of that boot take leases without a heartbeat; return what wakes it."""
    beat = lease._beat

    def quiet(descriptor: int, done: threading.Event) -> None:
        silent = json.loads(os.pread(descriptor, 9999, 0))["boot"] == boot
        done.wait() if silent else beat(descriptor, done)

    monkeypatch.setattr(lease, "_beat", quiet)
    return threading.Event()


def test_a_builder_that_was_suspended_takes_what_another_finished(
    tmp_path: Path, machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes back after its lease was taken and the work done: nothing is built twice over."""
    wake = _suspended(monkeypatch, "asleep")

    def slow(workspace: Path) -> dict[str, Any]:
        (workspace / "a.txt").write_text("of the first")
        wake.wait(20)
        (workspace / "b.txt").write_text("of the first")
        return {"n": 1}

    first = machine("asleep", lambda: Store(tmp_path).build(REQUEST, slow))
    until(lambda: list(tmp_path.glob("prepare/k1.*.partial/a.txt")))
    second = Store(tmp_path).build(REQUEST, fill)
    written = {p.name: p.read_bytes() for p in second.path.iterdir()}
    wake.set()
    assert first.result(20) == second
    assert {p.name: p.read_bytes() for p in second.path.iterdir()} == written
    assert [p.name for p in (tmp_path / "prepare").iterdir()] == ["k1"]


@pytest.mark.parametrize("request_", [REQUEST, KEPT], ids=["started over", "resumed"])
def test_a_builder_that_lost_its_lease_touches_nothing_of_the_other(
    tmp_path: Path, machine, monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    """It comes back while the other builds: it writes nowhere in its folder, and says why."""
    asleep = _suspended(monkeypatch, "asleep")
    at_work, finish = threading.Event(), threading.Event()

    def slow(workspace: Path) -> dict[str, Any]:
        (workspace / "checkpoint").write_text("of the first")
        asleep.wait(20)
        (workspace / "checkpoint").write_text("of the first, later")
        return {"n": 1}

    def other(workspace: Path) -> dict[str, Any]:
        there = workspace / "checkpoint"
        found = there.read_text() if there.exists() else ""
        there.write_text("of the second")
        at_work.set()
        finish.wait(20)
        return {"found": found}

    first = machine("asleep", lambda: Store(tmp_path).build(request_, slow))
    until(lambda: list(tmp_path.glob("*/k1.*.partial/checkpoint")))
    second = machine("boot b", lambda: Store(tmp_path).build(request_, other))
    assert at_work.wait(20)
    asleep.set()
    with raises(StoreError, code="lease-taken-over"):
        first.result(20)
    finish.set()
    built = second.result(20)
    assert built.result == {"found": "of the first" if request_.resumable else ""}
    assert (built.path / "checkpoint").read_text() == "of the second"
    assert [p.name for p in built.path.parent.iterdir()] == ["k1"]


def test_a_stop_is_a_stop_also_where_another_finished(tmp_path: Path) -> None:
    """After a stop request no further stage starts."""

    def run(_: Path) -> dict[str, Any]:
        (tmp_path / "prepare/k1").mkdir()
        raise Stopped("stopped on request")

    with pytest.raises(Stopped):
        Store(tmp_path).build(REQUEST, run)


def test_heartbeats_change_the_content_and_no_other_file(tmp_path: Path) -> None:
    """The number in the file counts up; after the lease was taken away, only an unused one does."""
    path = tmp_path / "k.lease"
    with lease.leased(path, waiting=lambda _: None) as hold:
        seen = {until(path.read_bytes)}
        until(lambda: len(seen) > 3 or seen.add(path.read_bytes()))
        assert all(json.loads(content)["nonce"] == hold.nonce for content in seen)
        path.unlink()
        path.write_text(json.dumps(facts()))
        before = path.read_bytes()
        time.sleep(4 * BEAT_SECONDS)
        assert path.read_bytes() == before
        with raises(StoreError, code="lease-taken-over"):
            lease.still_ours(hold)
    assert path.read_bytes() == before


def test_a_lease_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content, name, folder: synced in this order."""
    done: list[str] = []

    def noted(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **settings: Any) -> Any:
            result = original(*arguments, **settings)
            where = arguments[0]
            if isinstance(where, int):
                where = Path(f"/proc/self/fd/{where}").readlink()
            done.append(f"{name} {'folder' if Path(where).is_dir() else 'file'}")
            return result

        return call

    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync))
    monkeypatch.setattr(os, "link", noted("link", os.link))
    with lease.leased(tmp_path / "k.lease", waiting=lambda _: None):
        assert done[:3] == ["fsync file", "link file", "fsync folder"]


def test_waiting_is_said_again_with_how_long_it_took(
    tmp_path: Path, machine, constants: Constants
) -> None:
    """Every TELL_SECONDS: for what, for whom, since when, how long."""
    constants(lease, TELL_SECONDS=0.5)
    said: list[str] = []
    go = threading.Event()

    def slow(workspace: Path) -> dict[str, Any]:
        go.wait(20)
        return fill(workspace)

    first = machine("boot a", lambda: Store(tmp_path).build(REQUEST, slow))
    until(lambda: list(tmp_path.glob("prepare/k1.*.partial")))
    second = machine("b", lambda: Store(tmp_path).build(REQUEST, fill, waiting=said.append))
    until(lambda: len(said) >= 3)
    go.set()
    assert first.result(10) == second.result(10)
    assert " so far" in said[2]
    assert all(line.startswith("waiting: prepare/k1") and "since" in line for line in said)


def _advice(said: list[str], verb: str) -> str:
    line = until(lambda: said)[0]
    return line[line.index(f"{verb} ") :]


def test_the_command_that_is_named_ends_the_waiting_for_one_that_cannot_be_seen(
    tmp_path: Path, machine, constants: Constants
) -> None:
    """`rm` of the lease, in a folder whose name has a blank and a quote."""
    constants(lease, STALE_SECONDS=1000.0)
    root = tmp_path / "a store of o'neill"
    lease_file(root).write_text(json.dumps(facts()))
    said: list[str] = []
    built = machine("b", lambda: Store(root).build(REQUEST, fill, waiting=said.append))
    subprocess.run(_advice(said, "rm"), shell=True, check=True)
    assert built.result(10).result == {"n": 1}


def test_the_command_that_is_named_ends_the_waiting_for_one_that_lives(tmp_path: Path) -> None:
    """`kill` of a process on this machine."""
    path = lease_file(tmp_path)
    hold = (
        "import sys, time; from pathlib import Path; from finetune.pipeline.lease import leased\n"
        "with leased(Path(sys.argv[1]), waiting=print): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", hold, str(path)]
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with ThreadPoolExecutor(1) as pool:
            built = pool.submit(lambda: Store(tmp_path).build(REQUEST, fill, waiting=said.append))
            assert _advice(said, "kill") == f"kill {process.pid}"
            time.sleep(2 * STALE_SECONDS)
            assert not built.done()
            subprocess.run(_advice(said, "kill"), shell=True, check=True)
            assert built.result(10).result == {"n": 1}
        process.wait(10)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "alive"),
        ({"born": "1"}, "gone"),
        ({"pid": 2**22 + 7}, "gone"),
        ({"boot": "another"}, "unseen"),
        ({"boot": "unknown"}, "unseen"),
        ({"namespaces": "pid:[1] time:[1]"}, "unseen"),
        ({"namespaces": "unknown"}, "unseen"),
        ({"host": "another name of this machine"}, "alive"),
        ({"born": "1", "namespaces": "pid:[1]"}, "unseen"),
    ],
)
def test_numbers_of_processes_count_in_their_boot_and_namespace_only(
    change: dict[str, Any], expected: str
) -> None:
    """Elsewhere the same number is another process."""
    mine = asdict(builder.this_builder("ab", beat=""))
    assert builder.life_of(builder.Builder(**(mine | change))) == expected


def test_a_process_that_ended_and_was_not_waited_for_is_gone() -> None:
    """A zombie builds nothing."""
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)
    try:
        born = until(lambda: builder._born(str(pid)))
        mine = asdict(builder.this_builder("ab", beat=""))
        left = builder.Builder(**(mine | {"pid": pid, "born": born}))
        until(lambda: builder.life_of(left) == "gone")
    finally:
        os.waitpid(pid, 0)


def test_a_hidden_process_is_not_taken_for_a_dead_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """If /proc shows users only their own processes, another user's builder counts as unseen."""

    def refuse(*_: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    mine = builder.this_builder("ab", beat="")
    monkeypatch.setattr(builder, "_stat", lambda _: None)
    monkeypatch.setattr(os, "kill", refuse)
    assert builder.life_of(mine) == "unseen"


def test_what_is_written_can_be_read(variables: Variables, tmp_path: Path) -> None:
    """Also with odd values in the environment: a lease that its owner cannot read is lost."""
    variables(
        RANK="0",
        MASTER_ADDR="\udcff\x1b[31m" + "x" * 5000,
        **{builder.ATTEMPT: "\udcfe" + "y" * 5000 + "#3"},
    )
    with lease.leased(tmp_path / "k.lease", waiting=lambda _: None) as hold:
        lease.still_ours(hold)
        holder = lease.look(hold.path)
        assert holder is not None
        assert holder.builder is not None
        assert holder.builder.launch == builder.this_launch()
        assert "\x1b" not in str(holder)
        assert len(str(holder)) < 400


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_hard_links_has_leases_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine, number: int
) -> None:
    """There the lease is made in place, by one of those who try."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    count: list[int] = []

    def run(workspace: Path) -> dict[str, Any]:
        count.append(1)
        time.sleep(2 * STALE_SECONDS)
        return fill(workspace)

    both = [machine(f"boot {n}", lambda: Store(tmp_path).build(REQUEST, run)) for n in range(3)]
    assert len({str(one.result(20)) for one in both}) == 1
    assert count == [1]
    assert [p.name for p in (tmp_path / "prepare").iterdir()] == ["k1"]


def test_a_link_that_was_made_and_denied_is_a_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over NFS a repeated request is answered with `exists`; a process does not wait for itself."""
    original = os.link

    def deny(*arguments: Any, **settings: Any) -> None:
        original(*arguments, **settings)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", deny)
    said: list[str] = []
    assert Store(tmp_path).build(REQUEST, fill, waiting=said.append).result == {"n": 1}
    assert not said


def test_a_link_that_is_a_copy_has_a_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems copy: what counts up is the file that others see."""
    monkeypatch.setattr(os, "link", shutil.copyfile)
    path = tmp_path / "k.lease"
    with lease.leased(path, waiting=lambda _: None):
        first = path.read_bytes()
        until(lambda: path.read_bytes() != first)


WRONG_ATTEMPTS = ["x#y", "x", "#", "x#", "#3", "x#²", "x#-1", "x#1.5", "x#" + "9" * 5000, "x# 3"]


@pytest.mark.parametrize("said", WRONG_ATTEMPTS)
def test_a_wrong_attempt_is_a_sentence(tmp_path: Path, variables: Variables, said: str) -> None:
    """With the variable, its value and what to type."""
    variables(**{builder.ATTEMPT: said})
    with raises(StoreError, code="no-attempt", variable=builder.ATTEMPT) as error:
        Store(tmp_path).build(REQUEST, fill)
    assert error.value.problems[0].facts["value"] == said[:80]
    assert len(str(error.value)) < 400
    assert not list(tmp_path.glob("*/*"))


@pytest.mark.parametrize("job", ["²", "x", "-1", "9" * 5000, ""])
def test_a_job_of_slurm_whose_number_is_none_is_no_job(variables: Variables, job: str) -> None:
    """Nothing is concluded from it."""
    variables(SLURM_JOB_ID=job)
    assert builder.slurm_attempt() is None


@pytest.mark.parametrize(
    ("held", "mine", "expected"),
    [
        (["c/train", 1], "c/train#2", "gone"),
        (["c/train", 2], "c/train#2", "unseen"),
        (["c/train", 3], "c/train#2", "unseen"),
        (["c/other", 1], "c/train#2", "unseen"),
        ([55, 1], "55#2", "gone"),
        (["55", 1], "55#2", "gone"),
    ],
)
def test_a_later_attempt_at_a_job_reclaims_its_lease_at_once(
    tmp_path: Path,
    constants: Constants,
    variables: Variables,
    held: list[Any],
    mine: str,
    expected: str,
) -> None:
    """Slurm starts a job again only when its former attempt has ended."""
    variables(**{builder.ATTEMPT: mine})
    path = lease_file(tmp_path)
    path.write_text(json.dumps(facts(slurm=held)))
    holder = lease.look(path)
    assert holder is not None
    assert holder.life == expected
    if expected == "gone":
        constants(lease, STALE_SECONDS=1000.0)
        said: list[str] = []
        assert Store(tmp_path).build(REQUEST, fill, waiting=said.append).result == {"n": 1}
        assert not said


def test_one_who_waits_does_not_count_the_time_that_it_slept(tmp_path: Path) -> None:
    """A look after a long sleep is one look, not a long watch."""
    path = lease_file(tmp_path)
    path.write_text(json.dumps(facts()))
    holder = lease.look(path)
    assert holder is not None
    watched = lease._watch(lease._Watched(), holder, at=1000.0)
    assert lease._watch(watched, holder, at=1000.0 + 1e6).quiet_seconds < STALE_SECONDS


# ---- plan, runs, runs --remove --------------------------------------------------------------


def _runs(root: Path, *more: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    with contextlib.suppress(SystemExit):
        code = main(["runs", "--store", str(root), *more])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def _gone() -> dict[str, Any]:
    return asdict(builder.this_builder("0123456789ab", beat="")) | {"born": "1"}


STORIES: dict[str, tuple[Callable[[], bytes], float, str]] = {
    "unreadable": (lambda: b"", 0.0, "stale"),
    "silent for an hour": (lambda: json.dumps(facts()).encode(), -3600.0, "stale"),
    "a year ahead": (lambda: json.dumps(facts()).encode(), YEAR_SECONDS, "stale"),
    "dead, seen from here": (lambda: json.dumps(_gone()).encode(), 0.0, "partial"),
}


@pytest.mark.parametrize("story", STORIES)
def test_state_list_and_removal_tell_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], story: str
) -> None:
    """A dead, silent or unreadable lease is shown as that and can be cleared."""
    content, ahead_seconds, state = STORIES[story]
    path = lease_file(tmp_path)
    path.write_bytes(content())
    os.utime(path, (time.time() + ahead_seconds,) * 2)
    (path.parent / "k1.partial").mkdir()
    (path.parent / "k1.partial" / "x").write_text("x" * 100)
    store = Store(tmp_path)
    assert store.state("prepare", "k1") == state
    assert store.unfinished() == [("prepare/k1", state)]
    code, said = _runs(tmp_path, capsys=capsys)
    assert code == 0
    assert "prepare/k1" in said
    assert state in said
    code, said = _runs(tmp_path, "--remove", "prepare/k1", capsys=capsys)
    assert code == 0, said
    assert not list(path.parent.iterdir())
    code, said = _runs(tmp_path, "--remove", "prepare/k1", capsys=capsys)
    assert code == 2
    assert "not in" in said


def test_a_lease_alone_can_be_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but an empty lease is something of that name."""
    lease_file(tmp_path).write_bytes(b"")
    code, said = _runs(tmp_path, "--remove", "prepare/k1", capsys=capsys)
    assert code == 0, said
    assert not list((tmp_path / "prepare").iterdir())


def test_what_is_being_built_is_not_removed(
    tmp_path: Path, machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused with who builds it; also where only its heartbeat shows, under a wrong clock."""
    go = threading.Event()

    def slow(workspace: Path) -> dict[str, Any]:
        go.wait(20)
        return fill(workspace)

    first = machine("boot a", lambda: Store(tmp_path).build(REQUEST, slow))
    until(lambda: list(tmp_path.glob("prepare/k1.*.partial")))
    store = Store(tmp_path)
    assert store.state("prepare", "k1") == "running"
    code, said = _runs(tmp_path, "--remove", "prepare/k1", capsys=capsys)
    assert code == 2
    assert f"process {os.getpid()}" in said
    assert "since" in said
    with raises(StoreError, code="artefact-in-use", artefact="prepare/k1") as caught:
        store.remove("prepare", "k1")
    assert caught.value.problems[0].facts["holder"].startswith(f"process {os.getpid()} ")
    go.set()
    assert first.result(10).result == {"n": 1}
    assert store.state("prepare", "k1") == "cached"


def test_a_store_with_a_clock_of_its_own_tells_the_age_of_a_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of this machine is not asked."""
    path = lease_file(tmp_path)
    path.write_text(json.dumps(facts()))
    for skew_seconds in (86400.0, -86400.0):
        real = time.time
        monkeypatch.setattr(time, "time", lambda real=real, by=skew_seconds: real() + by)
        age = lease.seconds_since_beat(path)
        assert age is not None
        assert abs(age) < 60
        assert Store(tmp_path).state("prepare", "k1") == "running"
    assert [p.name for p in path.parent.iterdir()] == ["k1.lease"]


# ---- what is left of builds ----------------------------------------------------------------


LITTER = (
    "k1.lease",
    "k1.lease.0123456789ab",
    "k1.lease.0123456789abcdef0123456789abcdef",
    "k1.lease.0123456789ab.stale",
    "k1.lease.0123456789ab.tmp",
    "k1.partial/x",
    "k1.0123456789ab.partial/x",
    "k1.0123456789abcdef0123456789abcdef.removed/x",
    "k1.partial.0123456789ab.removed/x",
)


def _litter(folder: Path) -> None:
    for name in LITTER:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_a_build_leaves_nothing_that_kills_left(tmp_path: Path) -> None:
    """Asides of leases, tombs, folders of dead builders, half-deleted ones; other keys stay."""
    (tmp_path / "prepare/k2.partial").mkdir(parents=True)
    (tmp_path / "prepare/k12.partial").mkdir(parents=True)
    _litter(tmp_path / "prepare")
    Store(tmp_path).build(REQUEST, fill)
    left = sorted(p.name for p in (tmp_path / "prepare").iterdir())
    assert left == ["k1", "k12.partial", "k2.partial"]


def test_the_next_run_of_what_is_finished_tidies_it(tmp_path: Path) -> None:
    """The same, beside an artefact that is there; what an unbundling writes is left alone."""
    store = Store(tmp_path)
    store.build(REQUEST, fill)
    _litter(tmp_path / "prepare")
    adopted = tmp_path / "prepare/k1.0123456789abcdef0123456789abcdef.partial"
    adopted.mkdir()
    store.tidy("prepare", "k1")
    assert sorted(p.name for p in (tmp_path / "prepare").iterdir()) == [adopted.name, "k1"][::-1]


def test_tidying_leaves_the_folder_of_a_living_builder(tmp_path: Path, machine) -> None:
    """An artefact that was unpacked from a bundle meanwhile: its builder goes on, and takes it."""
    go = threading.Event()

    def slow(workspace: Path) -> dict[str, Any]:
        go.wait(20)
        return fill(workspace)

    first = machine("boot a", lambda: Store(tmp_path).build(REQUEST, slow))
    (partial,) = until(lambda: list(tmp_path.glob("prepare/k1.*.partial")))
    Store(tmp_path / "other").build(REQUEST, fill)
    shutil.copytree(tmp_path / "other/prepare/k1", tmp_path / "prepare/k1")
    Store(tmp_path).tidy("prepare", "k1")
    assert partial.is_dir()
    go.set()
    assert first.result(10).result == {"n": 1}
    assert [p.name for p in (tmp_path / "prepare").iterdir()] == ["k1"]


@pytest.mark.parametrize("aside", ["manifest.json.4711.tmp", "manifest.json.0123456789ab.tmp"])
def test_what_a_killed_writer_left_is_no_part_of_the_artefact(tmp_path: Path, aside: str) -> None:
    """A training run resumes from its folder without the file that was being written."""
    partial = tmp_path / "train/k1.partial"
    (partial / "sub").mkdir(parents=True)
    for folder in (partial, partial / "sub"):
        (folder / aside).write_text("{")
    (partial / "checkpoint.tmp").write_text("kept")
    built = Store(tmp_path).build(KEPT, fill)
    files = sorted(p.relative_to(built.path).as_posix() for p in built.path.rglob("*"))
    assert files == ["a.txt", "checkpoint.tmp", "manifest.json", "sub"]


def test_of_several_folders_the_latest_goes_on(tmp_path: Path) -> None:
    """The others are deleted once it is claimed."""
    for age, name in enumerate(
        ("k1.0123456789ab.partial", "k1.partial", "k1.ba9876543210.partial")
    ):
        folder = tmp_path / "train" / name
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_text(name)
        for path in (folder / "checkpoint", folder):
            os.utime(path, (1e9 - age, 1e9 - age))
    assert builds.partial_of(tmp_path / "train/k1") == tmp_path / "train/k1.0123456789ab.partial"
    seen = Store(tmp_path).build(KEPT, lambda w: {"was": (w / "checkpoint").read_text()})
    assert seen.result == {"was": "k1.0123456789ab.partial"}
    assert [p.name for p in (tmp_path / "train").iterdir()] == ["k1"]


def test_other_processes_of_a_launch_find_the_folder_of_their_builder(
    tmp_path: Path, variables: Variables
) -> None:
    """By the nonce in the lease; not in another launch, nor when its builder is gone."""
    variables(RANK="0", MASTER_PORT="29500")
    mine = builder.this_launch()
    store = Store(tmp_path)
    found: list[Any] = []

    def run(workspace: Path) -> dict[str, Any]:
        found.append((workspace, store.folder_of_launch(str(mine), "train", "k1")))
        found.append(store.folder_of_launch("another", "train", "k1"))
        return fill(workspace)

    store.build(KEPT, run)
    assert found[0][0] == found[0][1]
    assert found[1] is None
    path = lease_file(tmp_path, stage="train")
    path.write_text(json.dumps(_gone()))
    shutil.rmtree(tmp_path / "train/k1")
    (tmp_path / "train/k1.0123456789ab.partial").mkdir()
    assert store.folder_of_launch(str(mine), "train", "k1") is None


# ---- containers ----------------------------------------------------------------------------

BUILD = """
import sys, time
from pathlib import Path
from finetune.pipeline import lease
from finetune.pipeline.store import Request, Store
lease.HEARTBEAT_SECONDS, lease.STALE_SECONDS, lease.POLL_SECONDS = 0.1, 1.0, 0.05
def run(workspace):
    print("built", flush=True)
    time.sleep(2.5)
    return {"n": 1}
request = Request(stage="s", key="k", name="n", content={}, inputs={}, resumable=len(sys.argv) > 2)
Store(Path(sys.argv[1])).build(request, run, waiting=lambda line: print(line, flush=True))
"""
NAMESPACES = (
    ["--pid", "--fork", "--mount-proc"],
    ["--pid", "--fork"],  # with the /proc of the machine
    ["--pid", "--fork", "--mount-proc", "--time"],
    ["--uts", "--pid", "--fork", "--mount-proc"],
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "resumable"), [(NAMESPACES[0], True), *((flags, False) for flags in NAMESPACES)]
)
def test_two_containers_build_once(tmp_path: Path, flags: list[str], resumable: bool) -> None:
    """Same host name, same process numbers, other namespaces: one builds, the other finds it."""
    container = ["unshare", *flags]
    if subprocess.run([*container, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip(f"{' '.join(container)}: not allowed here (needs root)")
    command = [*container, sys.executable, "-c", BUILD, str(tmp_path), *["resumed"] * resumable]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted("built" in text for text in said) == [False, True]
    assert sorted("waiting: s/k" in text for text in said) == [False, True]
    assert [p.name for p in (tmp_path / "s").iterdir()] == ["k"]
