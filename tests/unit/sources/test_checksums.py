"""The cache of checksums: it never lies, is never torn, and is never needed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from finetune.sources import checksums
from finetune.sources.checksums import checksum
from tests.support.surroundings import Constants


@pytest.fixture(autouse=True)
def at_once(constants: Constants) -> None:
    """Remember also what was written just now."""
    constants(checksums, SETTLED_SECONDS=-1.0)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path) -> None:
    """Written in place with the time put back, or another file put in its place."""
    file, cache = tmp_path / "a", tmp_path / "sums.json"
    file.write_text("x")
    assert checksum(file, cache=cache) == sha256("x")
    status = file.stat()
    while file.stat().st_ctime_ns == status.st_ctime_ns:  # until the clock of the disk moves
        file.write_text("y")
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert checksum(file, cache=cache) == sha256("y")
    other = tmp_path / "b"
    other.write_text("z")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(file)
    assert checksum(file, cache=cache) == sha256("z")


def odd(file: Path) -> dict[str, str | bytes]:
    place, digest = str(file.resolve()), "0" * 64
    status = file.stat()
    stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    return {
        "number": json.dumps({place: 5}),
        "short": json.dumps({place: stamp[:2]}),
        "of before": json.dumps({place: [*stamp[:2], digest]}),
        "long": json.dumps({place: [*stamp, digest, 1]}),
        "no digest": json.dumps({place: [*stamp, "abc"]}),
        "null": json.dumps({place: None}),
        "text": json.dumps({place: [*map(str, stamp), 7]}),
        "list": "[]",
        "deep": "[" * 200_000,
        "deep mapping": '{"a":' * 200_000,
        "long number": '{"a": ' + "9" * 5000 + "}",
        "binary": bytes(range(256)),
        "empty": "",
        "large": " " * (17 * 2**20),
    }


@pytest.mark.parametrize("kind", odd(Path(__file__)))
def test_a_cache_of_another_shape_costs_time_only(tmp_path: Path, kind: str) -> None:
    """The file is hashed again, and the cache is sound afterwards."""
    file, cache = tmp_path / "a", tmp_path / "sums.json"
    file.write_text("x")
    content = odd(file)[kind]
    cache.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert checksum(file, cache=cache) == sha256("x")
    assert list(json.loads(cache.read_text())) == [str(file.resolve())]


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to itself", "below a file", "no home"])
def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path, monkeypatch, kind) -> None:
    """Nothing is waited for and nothing fails."""
    file, cache = tmp_path / "a", tmp_path / "sums.json"
    file.write_text("x")
    if kind == "folder":
        cache.mkdir()
    elif kind == "pipe":
        os.mkfifo(cache)
    elif kind == "link to itself":
        cache.symlink_to(cache)
    elif kind == "below a file":
        cache = file / "sums.json"
    else:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert checksum(file, cache=None if kind == "no home" else cache) == sha256("x")


def remember(folder: str, number: int) -> None:
    checksums.SETTLED_SECONDS = -1.0
    for count in range(10):
        checksum(Path(folder) / f"{number}-{count}", cache=Path(folder) / "sums.json")


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Concurrent additions of four processes are all kept."""
    for number in range(4):
        for count in range(10):
            (tmp_path / f"{number}-{count}").write_text("x")
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=remember, args=(str(tmp_path), number)) for number in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(json.loads((tmp_path / "sums.json").read_text())) == 40


def test_the_cache_keeps_the_newest(tmp_path: Path, constants: Constants) -> None:
    """Its size is bounded."""
    constants(checksums, MAX_ENTRIES=3)
    for name in "abcde":
        (tmp_path / name).write_text(name)
        checksum(tmp_path / name, cache=tmp_path / "sums.json")
    kept = json.loads((tmp_path / "sums.json").read_text())
    assert [Path(place).name for place in kept] == ["c", "d", "e"]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_has_no_checksum(tmp_path: Path, kind: str) -> None:
    """A pipe would be waited for, a device has no end."""
    place = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        place.mkdir()
    with pytest.raises(OSError, match="no regular file"):
        checksum(place, cache=tmp_path / "sums.json")
