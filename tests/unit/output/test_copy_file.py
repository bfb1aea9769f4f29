"""A copy has an inode of its own, a mode by the umask, and is whole or absent."""

from __future__ import annotations

import os
import stat

import pytest

from finetune.output import copy_file as module
from finetune.output.copy_file import copy_file
from tests.support.file_size import largest_file


def test_a_copy_keeps_its_content_when_the_source_is_written_in_place(tmp_path):
    """Writing the source in place, or emptying it, does not reach the copy."""
    source, target = tmp_path / "a", tmp_path / "b"
    content = os.urandom(9 * 2**20)
    source.write_bytes(content)
    copy_file(source, target, synced=True)
    assert target.stat().st_ino != source.stat().st_ino
    assert source.stat().st_nlink == target.stat().st_nlink == 1
    with source.open("r+b") as file:
        file.write(b"other")
    source.write_bytes(b"")
    assert target.read_bytes() == content


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o444, 0o777])
def test_the_mode_follows_the_umask_and_not_the_source(tmp_path, umask, mode):
    """A file that only its owner can read becomes one that the umask says."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"x")
    source.chmod(mode)
    before = os.umask(umask)
    try:
        copy_file(source, target)
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


def test_a_link_is_followed_and_its_name_is_not_kept(tmp_path):
    """The copy of a link is the file itself."""
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to("a")
    copy_file(tmp_path / "link", tmp_path / "b")
    assert not (tmp_path / "b").is_symlink()
    assert (tmp_path / "b").read_bytes() == b"x"


@pytest.mark.parametrize("there", ["file", "folder", "link", "dangling"])
def test_nothing_is_written_over(tmp_path, there):
    """A target that is there stays as it is, also where it is a link that leads elsewhere."""
    source, target, other = tmp_path / "a", tmp_path / "b", tmp_path / "other"
    source.write_bytes(b"new")
    if there == "file":
        target.write_bytes(b"old")
    elif there == "folder":
        target.mkdir()
    else:
        target.symlink_to(other)
        if there == "link":
            other.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        copy_file(source, target)
    assert other.exists() == (there == "link")
    assert target.read_bytes() == b"old" if there in ("file", "link") else not target.is_file()


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "missing", "loop"])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, kind):
    """A pipe is not waited for and a device is not read; no target is made."""
    source, target = tmp_path / "a", tmp_path / "b"
    if kind == "folder":
        source.mkdir()
    elif kind == "pipe":
        os.mkfifo(source)
    elif kind == "device":
        source.symlink_to("/dev/zero")
    elif kind == "loop":
        source.symlink_to("a")
    with pytest.raises(OSError, match="a"):
        copy_file(source, target)
    assert not target.exists()


def test_a_copy_that_fails_leaves_nothing(tmp_path):
    """A file that cannot be written whole is not there."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"x" * 100)
    with largest_file(50), pytest.raises(OSError, match="File too large"):
        copy_file(source, target)
    assert not target.exists()


def test_a_reflink_is_asked_for_first(tmp_path, monkeypatch):
    """If the file system supports it, blocks are shared and nothing is copied."""
    import fcntl

    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"x" * 100)

    def clone(writer, request, reader):
        assert request == module._FICLONE
        os.write(writer, os.pread(reader, 100, 0))

    monkeypatch.setattr(fcntl, "ioctl", clone)
    monkeypatch.setattr(module.shutil, "copyfileobj", None)
    copy_file(source, target)
    assert target.read_bytes() == source.read_bytes()
