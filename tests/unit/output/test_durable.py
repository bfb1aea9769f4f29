"""Durable writes are on the disk: content, name, folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from finetune.output import durable
from tests.support.file_size import largest_file


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    found: list[Path] = []
    original = os.fsync

    def fsync(descriptor: int) -> None:
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_a_replaced_file_and_its_folder_are_synced(tmp_path: Path, synced: list[Path]) -> None:
    """The file before it has its name, the folder after."""
    durable.replace_text(tmp_path / "a", "one")
    durable.replace_text(tmp_path / "a", "two")
    assert (tmp_path / "a").read_text() == "two"
    assert [path == tmp_path for path in synced] == [False, True, False, True]
    assert all(durable.is_aside(path) for path in synced if path != tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_two_writers_of_one_file_have_two_names(tmp_path: Path) -> None:
    """Numbers of processes are the same in two containers."""
    assert durable.aside_of(tmp_path / "a") != durable.aside_of(tmp_path / "a")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """A write that the disk refuses half-way."""
    durable.replace_text(tmp_path / "a", "one")
    with largest_file(2), pytest.raises(OSError, match="File too large"):
        durable.replace_text(tmp_path / "a", "two")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "one"


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """Of this file and this boot alone, and not while its writer lives."""
    pid = os.fork()
    if pid == 0:
        durable.aside_of(tmp_path / "a").touch()
        os._exit(0)
    os.waitpid(pid, 0)
    dead = next(tmp_path.iterdir())
    elsewhere = dead.with_name("a." + "f" * 6 + dead.name[8:])
    other, living = dead.with_name("b" + dead.name[1:]), durable.aside_of(tmp_path / "a")
    for path in (elsewhere, other, living):
        path.touch()
    durable.replace_text(tmp_path / "a", "one")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a", elsewhere.name, other.name, living.name}


def test_new_folders_are_synced_from_above(tmp_path: Path, synced: list[Path]) -> None:
    """Each folder in which a new one lies; nothing where all are there."""
    durable.make_folder(tmp_path / "a/b/c")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a/b"]
    synced.clear()
    durable.make_folder(tmp_path / "a/b/c")
    assert not synced


def test_a_file_system_that_cannot_sync_a_folder_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says EINVAL for a folder; for a file that is an error."""

    def refuse(descriptor: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    durable.flush(tmp_path)
    (tmp_path / "a").write_text("x")
    with pytest.raises(OSError, match="Invalid"):
        durable.flush(tmp_path / "a")


def test_every_folder_below_is_synced(tmp_path: Path, synced: list[Path]) -> None:
    """Links are not followed."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/c").symlink_to("/")
    durable.flush_folders(tmp_path)
    assert sorted(synced) == [tmp_path, tmp_path / "a", tmp_path / "a/b"]
