"""The store: no partial build looks complete, and processes do not damage each other."""

import errno
import json
import multiprocessing
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from finetune.errors import StoreError
from finetune.pipeline.builder import this_builder
from finetune.pipeline.manifest import key_of, read_manifest
from finetune.pipeline.store import Request, Store
from tests.support.problems import raises


def _request(**changes):
    facts = {"stage": "prepare", "key": "k1", "name": "n", "content": {"a": 1}, "inputs": {}}
    return Request(**(facts | changes))


def _fill(workspace: Path) -> dict:
    (workspace / "a.txt").write_text("alpha")
    (workspace / "sub").mkdir(exist_ok=True)
    (workspace / "sub" / "b.txt").write_text("beta")
    return {"n": 2}


def test_a_built_artefact_is_found_with_its_result_and_checksums(tmp_path):
    """The manifest holds result, files and versions."""
    store = Store(tmp_path)
    built = store.build(_request(), _fill)
    assert store.find("prepare", "k1") == built
    manifest = read_manifest(built.path)
    assert manifest.result == {"n": 2}
    assert set(manifest.files) == {"a.txt", "sub/b.txt"}
    assert not list(tmp_path.glob("*/*.lease*"))


def test_a_second_build_does_no_work(tmp_path):
    """An existing artefact is returned."""
    store = Store(tmp_path)
    store.build(_request(), _fill)
    assert store.build(_request(), lambda _: 1 / 0).result == {"n": 2}


def test_a_failed_build_leaves_nothing_that_looks_complete(tmp_path):
    """An exception leaves only .partial, and the next build starts clean."""
    store = Store(tmp_path)

    def fail(workspace):
        (workspace / "left.txt").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.build(_request(), fail)
    assert store.find("prepare", "k1") is None
    assert store.state("prepare", "k1") == "partial"
    assert not (store.build(_request(), _fill).path / "left.txt").exists()


def test_a_resumable_build_finds_what_it_left(tmp_path):
    """Training resumes from its own folder."""
    store = Store(tmp_path)

    def fail(workspace):
        (workspace / "checkpoint").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.build(_request(resumable=True), fail)
    built = store.build(_request(resumable=True), lambda w: {"was": (w / "checkpoint").read_text()})
    assert built.result == {"was": "x"}


def test_a_process_that_waits_gets_the_folder_in_which_another_builds(tmp_path):
    """So that it can take part; afterwards it waits on, and finds the artefact."""
    store, seen = Store(tmp_path), []

    class Seen(Exception):
        pass

    def look(folder):
        seen.append((folder / "a.txt").read_text())
        raise Seen

    def work(workspace):
        found = _fill(workspace)
        with pytest.raises(Seen):
            store.build(_request(), lambda _: 1 / 0, meanwhile=look)
        return found

    assert store.build(_request(), work, meanwhile=look).result == {"n": 2}
    assert seen == ["alpha"]


BUILD = """
import sys, time
from pathlib import Path
from finetune.pipeline.store import Request, Store
def run(workspace):
    for i in range(200):
        (workspace / f"{i}.txt").write_text("x" * 1000)
        if i == 0: print("started", flush=True)
        time.sleep(0.002)
    return {"n": 200}
Store(Path(sys.argv[1])).build(Request(stage="s", key="k", name="n", content={}, inputs={}), run)
"""


@pytest.mark.parametrize("delay_seconds", [0.0, 0.1, 0.3, 0.41, 0.45])
def test_a_kill_at_any_instant_leaves_nothing_that_looks_complete(tmp_path, delay_seconds):
    """SIGKILL during the build, then the same build: complete and every file there."""
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "started\n"
        time.sleep(delay_seconds)
        process.send_signal(signal.SIGKILL)
    store = Store(tmp_path)
    found = store.find("s", "k")
    if found is not None:
        assert len(read_manifest(found.path).files) == 200
    subprocess.run(command, check=True, capture_output=True)
    found = store.find("s", "k")
    assert len(list(found.path.glob("*.txt"))) == 200


def _count(root: str, barrier) -> None:
    def run(workspace):
        with Path(root, "count").open("a") as file:
            file.write("x")
        time.sleep(0.3)
        return {}

    barrier.wait()
    Store(Path(root)).build(_request(), run)


def test_two_processes_build_an_artefact_once(tmp_path):
    """Four at the same instant: one works, three wait."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    processes = [context.Process(target=_count, args=(str(tmp_path), barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [p.exitcode for p in processes] == [0, 0, 0, 0]
    assert (tmp_path / "count").read_text() == "x"


def test_a_dead_builders_lease_is_taken_over(tmp_path):
    """A lease of a process number that now belongs to another process does not block."""
    lease = asdict(this_builder("0", beat="")) | {"born": "1"}
    (tmp_path / "prepare").mkdir()
    (tmp_path / "prepare" / "k1.lease").write_text(json.dumps(lease))
    assert Store(tmp_path).build(_request(), _fill).result == {"n": 2}


def test_a_lost_lease_refuses_to_commit(tmp_path):
    """A builder presumed dead does not overwrite when it returns."""
    store = Store(tmp_path)

    def run(workspace):
        (tmp_path / "prepare" / "k1.lease").write_text(
            json.dumps({"nonce": "other", "pid": 1, "born": "1", "boot": "x", "host": "elsewhere"})
        )
        return {}

    with raises(StoreError, code="lease-taken-over"):
        store.build(_request(), run)
    assert store.find("prepare", "k1") is None


def test_a_full_disk_is_a_clear_error(tmp_path):
    """ENOSPC states the remedy and leaves nothing complete."""

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    store = Store(tmp_path)
    with raises(StoreError, code="disk-full", at=str(tmp_path)):
        store.build(_request(), full)
    assert store.find("prepare", "k1") is None


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nothing"])
def test_a_store_that_cannot_be_made_is_a_clear_error(tmp_path, place):
    """A file in the way, or a place where no folder can be: choose another store."""
    (tmp_path / "file").write_text("")
    with raises(StoreError, code="cannot-write-store"):
        Store(tmp_path / place).build(_request(), _fill)


def test_a_damaged_manifest_says_what_to_do(tmp_path):
    """A torn file is named."""
    store = Store(tmp_path)
    built = store.build(_request(), _fill)
    (built.path / "manifest.json").write_text("{")
    with raises(StoreError, code="unreadable-manifest", at="prepare/k1"):
        store.find("prepare", "k1")


def test_remove_frees_and_forgets(tmp_path):
    """A removed artefact is built again."""
    store = Store(tmp_path)
    store.build(_request(), _fill)
    assert store.remove("prepare", "k1") > 0
    assert store.find("prepare", "k1") is None


def test_keys_do_not_depend_on_order():
    """Canonical JSON."""
    assert key_of({"a": [1, {"x": 1, "y": 2}], "b": 2}) == key_of(
        {"b": 2, "a": [1, {"y": 2, "x": 1}]}
    )


def test_what_is_not_finished_is_named(tmp_path: Path) -> None:
    """Partial and missing artefacts are lacking, finished ones are not; the order is kept."""
    store = Store(tmp_path)
    (tmp_path / "train/b.partial").mkdir(parents=True)
    (tmp_path / "prepare/a").mkdir(parents=True)
    names = ["train/c", "prepare/a", "train/b"]
    assert store.lacking(names) == ["train/c", "train/b"]


def test_files_that_a_user_deleted_are_noticed_with_the_way_back(tmp_path, monkeypatch, capsys):
    """A purged artefact is no finished one: it is named, and can be removed to be made again."""
    from finetune.cli import main

    store = Store(tmp_path)
    built = store.build(_request(), _fill)
    (built.path / "sub" / "b.txt").unlink()
    with pytest.raises(StoreError) as error:
        store.find("prepare", "k1")
    assert error.value.codes == ("lost-files",)
    assert f"finetune runs --store {tmp_path} --remove prepare/k1" in str(error.value)
    assert main(["runs", "--store", str(tmp_path), "--remove", "prepare/k1"]) == 0
    assert store.find("prepare", "k1") is None


def test_an_artefact_without_its_manifest_can_be_removed(tmp_path):
    """Remains of a purged artefact do not block a rebuild."""
    from finetune.cli import main

    store = Store(tmp_path)
    built = store.build(_request(), _fill)
    (built.path / "manifest.json").unlink()
    with raises(StoreError, code="unreadable-manifest", at="prepare/k1"):
        store.find("prepare", "k1")
    assert main(["runs", "--store", str(tmp_path), "--remove", "prepare/k1"]) == 0
    assert not built.path.exists()


@pytest.mark.parametrize(
    "victim",
    [
        *("../other", "prepare/..", "prepare/.", "prepare/a/b", "x/k1", "x" * 5000),
        *("prepare/k2.lease", "prepare/k2.0123456789ab.partial"),
    ],
)
def test_only_artefacts_can_be_removed(tmp_path, victim, capsys):
    """--remove reaches nothing outside the stages of the store, and no part of what is built."""
    from finetune.cli import main

    partial = "store/prepare/k2.0123456789ab.partial"
    for folder in ("store/prepare/a/b", "store/x/k1", "other", partial):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "store/prepare/k2.lease").touch()
    assert main(["runs", "--store", str(tmp_path / "store"), "--remove", victim]) == 2
    assert len(capsys.readouterr().err) < 500
    assert (tmp_path / "store/prepare/k2.lease").exists()
    assert (tmp_path / partial).is_dir()
    assert (tmp_path / "store/prepare/a/b").is_dir()
    assert (tmp_path / "other").is_dir()
